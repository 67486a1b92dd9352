import type { Socket } from 'node:net';
import { DomainError } from '@sibyl/kernel';
import type { Answer, Question, ToPrimary, Topic, ToWorker, WorkerBegin } from './messages';
import { Siblings } from './siblings';

/** How long a scrape waits: the primary itself waits for workers for a second. */
const SCRAPE_LIMIT_MS = 2_000;
/** So long connections that end are gathered: new ones go where there are fewest. */
const REPORT_MS = 20;

/** A worker's line to its primary, and through it to the other workers. */
export class WorkerLink extends Siblings {
  readonly index: number;
  readonly count: number;
  /** Resolves when the packages that the operator named are in the registry, whoever registered them. */
  readonly registered: Promise<void>;
  /** Resolves with the signal when the server is to end. */
  readonly drained: Promise<NodeJS.Signals>;
  /** What becomes of a connection; says how many are open then. */
  onConnection: (socket: Socket) => number = (socket) => {
    socket.destroy();
    return 0;
  };
  /** How many connections are open. */
  connections: () => number = () => 0;
  private readonly works = new Map<Question, (body: never) => Promise<unknown>>();
  private readonly hearers = new Map<Topic, (body: never) => void>();
  private readonly waiting = new Map<number, (message: ToWorker | undefined) => void>();
  private drain: (signal: NodeJS.Signals) => void = () => undefined;
  private lastId = 0;
  private report: NodeJS.Timeout | undefined;

  private constructor({ index, count, registered }: WorkerBegin) {
    super();
    this.index = index;
    this.count = count;
    this.drained = new Promise((resolve) => (this.drain = resolve));
    this.registered = new Promise((resolve) => {
      if (registered) resolve();
      else this.onTold('registered', () => resolve());
    });
  }

  /** Resolves with the first message of the primary, which ends this process with itself. */
  static async begin(): Promise<{ link: WorkerLink; begin: WorkerBegin }> {
    process.on('disconnect', () => process.exit(1));
    return new Promise((resolve) => {
      process.once('message', (begin: WorkerBegin) => {
        const link = new WorkerLink(begin);
        process.on('message', (message: ToWorker, socket: Socket | undefined) => link.receive(message, socket));
        resolve({ link, begin });
      });
    });
  }

  /** HTTP is up: connections may come. Then: what should serve is loaded. */
  say(kind: 'open' | 'ready'): void {
    this.send({ kind });
  }

  /** Connections have ended. */
  connectionsEnded(): void {
    this.report ??= setTimeout(() => {
      this.report = undefined;
      this.send({ kind: 'pong', connections: this.connections() });
    }, REPORT_MS).unref();
  }

  async ask(question: Question, body: unknown, limitMs: number): Promise<readonly Answer[]> {
    const message = await this.wait((id) => this.send({ kind: 'ask', id, question, body, limitMs }), 2 * limitMs);
    return message?.kind === 'answers' ? message.answers : [];
  }

  tell(topic: Topic, body: unknown): void {
    this.send({ kind: 'tell', topic, body });
  }

  onAsked(question: Question, work: (body: never) => Promise<unknown>): void {
    this.works.set(question, work);
  }

  onTold(topic: Topic, work: (body: never) => void): void {
    this.hearers.set(topic, work);
  }

  async scrape(): Promise<string | undefined> {
    const message = await this.wait((id) => this.send({ kind: 'scrape', id }), SCRAPE_LIMIT_MS);
    return message?.kind === 'scraped' ? message.text : undefined;
  }

  private receive(message: ToWorker, socket: Socket | undefined): void {
    switch (message.kind) {
      case 'connection':
        return this.accept(socket);
      case 'ping':
        return this.send({ kind: 'pong', connections: this.connections() });
      case 'drain':
        return this.drain(message.signal);
      case 'tell':
        return this.hearers.get(message.topic)?.(message.body as never);
      case 'ask':
        return void this.answer(message.id, message.question, message.body);
      case 'answers':
      case 'scraped':
        return this.waiting.get(message.id)?.(message);
      case 'begin':
    }
  }

  /** Undefined: the client has given up meanwhile. */
  private accept(socket: Socket | undefined): void {
    const connections = socket === undefined ? this.connections() : this.onConnection(socket);
    this.send({ kind: 'accepted', connections });
  }

  private async answer(id: number, question: Question, body: unknown): Promise<void> {
    try {
      this.send({ kind: 'answer', id, answer: { value: await this.works.get(question)?.(body as never) } });
    } catch (error) {
      const { code, detail } =
        error instanceof DomainError ? error : { code: 'internal_error', detail: 'Another worker failed.' };
      this.send({ kind: 'answer', id, answer: { error: { code, detail } } });
    }
  }

  private async wait(begin: (id: number) => void, limitMs: number): Promise<ToWorker | undefined> {
    const id = ++this.lastId;
    let timer: NodeJS.Timeout | undefined;
    try {
      return await new Promise((resolve) => {
        this.waiting.set(id, resolve);
        timer = setTimeout(() => resolve(undefined), limitMs);
        begin(id);
      });
    } finally {
      clearTimeout(timer);
      this.waiting.delete(id);
    }
  }

  private send(message: ToPrimary): void {
    // A line that is cut ends this process in a moment.
    process.send?.(message, undefined, undefined, () => undefined);
  }
}
