import { DomainError, TURNS, type FieldFault } from '@sibyl/kernel';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PushResult } from './feature-event';
import type { PushedEvent } from './pushed-event';
import { bytesOf, isFault, readEvent, type Arrival, type PendingEvent } from './pending-event';
import type { LoggedStream } from './stream-catalog';

/** What is stored at one time: so many events, and no more bytes than one transaction takes besides its last event. */
const BATCH = 2000;
const BATCH_BYTES = 2 * 1_048_576;
const LINE_BYTES = 1_048_576;
/** Faults that are told; of a wrong file the first few say it all. */
const TOLD = 100;
/** A file waits for its place among the pushes of others, which come first. */
const PAUSE_MS = 50;
const PATIENCE = 200;

export interface UploadFault {
  /** Counted from 1. */
  readonly line: number;
  readonly status: PushResult;
  readonly reason?: string;
  readonly fault?: FieldFault;
}

export interface UploadOutcome {
  readonly lines: number;
  readonly counts: Readonly<Partial<Record<PushResult, number>>>;
  /** The first of them. */
  readonly faults: readonly UploadFault[];
}

type Store = (events: readonly (PendingEvent | FieldFault)[]) => Promise<readonly PushedEvent[]>;

/** One upload of JSON lines: of it two batches at most are in memory, one that is read and one that is stored. */
export class LineUpload {
  private readonly counts: Partial<Record<PushResult, number>> = {};
  private readonly faults: UploadFault[] = [];
  private batch: (PendingEvent | FieldFault)[] = [];
  private bytes = 0;
  /** Line of each event of the batch. */
  private places: number[] = [];
  private lines = 0;
  /** All lines up to it are stored. */
  private storedLines = 0;
  /** One batch is stored while the next is read; never two, because the order of a file is that of its events. */
  private storing: Promise<void> = Promise.resolve();

  constructor(
    private readonly name: string | undefined,
    private readonly streamOf: (name: string) => LoggedStream,
    private readonly store: Store,
    private readonly arrival: () => Arrival,
    /** Hears of each line of a known stream that is not an event of it. */
    private readonly onRefused: (stream: string) => void,
  ) {}

  async run(body: AsyncIterable<Buffer>): Promise<UploadOutcome> {
    try {
      for await (const line of linesOf(body)) {
        this.lines++;
        if (TURNS.due) await TURNS.next();
        if (line.trim() !== '') this.add(line);
        if (this.batch.length >= BATCH || this.bytes >= BATCH_BYTES) await this.flush();
      }
      await this.flush();
      await this.storing;
    } catch (error) {
      await this.storing.catch(() => undefined);
      throw this.stopped(error);
    }
    return { lines: this.lines, counts: this.counts, faults: this.faults };
  }

  private add(line: string): void {
    const event = this.read(line);
    this.places.push(this.lines);
    this.batch.push(event);
    if (!isFault(event)) this.bytes += bytesOf(event);
  }

  private read(line: string): PendingEvent | FieldFault {
    const event = parsed(line);
    if (typeof event !== 'object' || event === null) {
      if (this.name !== undefined) this.onRefused(this.name);
      return { pointer: '', expected: 'one JSON object a line' };
    }
    const { stream: named, ...rest } = event as Record<string, unknown>;
    const name = named === undefined ? this.name : named;
    if (typeof name !== 'string')
      return { pointer: '/stream', expected: 'the name of a stream, here or as `?stream=`' };
    try {
      const read = readEvent(this.streamOf(name), named === undefined ? event : rest, this.arrival());
      if (isFault(read)) this.onRefused(name);
      return read;
    } catch (error) {
      if (!(error instanceof DomainError)) throw error;
      return { pointer: '/stream', expected: error.detail };
    }
  }

  private async flush(): Promise<void> {
    const { batch, places, lines } = this;
    this.batch = [];
    this.bytes = 0;
    this.places = [];
    await this.storing;
    this.storing = this.take(batch, places, lines);
    // Whoever waits for it hears of its end; until then it is nobody's.
    this.storing.catch(() => undefined);
  }

  private async take(
    batch: readonly (PendingEvent | FieldFault)[],
    places: readonly number[],
    upTo: number,
  ): Promise<void> {
    const results = await this.patiently(batch);
    results.forEach((result, i) => this.count(result, places[i] ?? 0));
    this.storedLines = upTo;
  }

  private count({ status, reason, fault }: PushedEvent, line: number): void {
    this.counts[status] = (this.counts[status] ?? 0) + 1;
    if ((status !== 'INVALID' && status !== 'CONFLICT') || this.faults.length >= TOLD) return;
    const why = { ...(reason === undefined ? {} : { reason }), ...(fault === undefined ? {} : { fault }) };
    this.faults.push({ line, status, ...why });
  }

  private async patiently(batch: readonly (PendingEvent | FieldFault)[]): Promise<readonly PushedEvent[]> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.store(batch);
      } catch (error) {
        const full = error instanceof DomainError && ['queue_full', 'rate_limited'].includes(error.code);
        if (!full || attempt === PATIENCE) throw error;
        await sleep(PAUSE_MS);
      }
    }
  }

  /** Says how far it came: the caller may go on from there, or send all again. */
  private stopped(error: unknown): unknown {
    if (!(error instanceof DomainError)) return error;
    const detail = `${error.detail} Lines 1 to ${this.storedLines} are stored; what is sent again is not stored twice.`;
    return new DomainError(error.code, detail, { cause: error });
  }
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

/** The lines of a body of UTF-8. Throws body_too_large for one without end. */
export async function* linesOf(body: AsyncIterable<Buffer>): AsyncGenerator<string> {
  let rest: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    let from = 0;
    for (let end = chunk.indexOf(0x0a); end >= 0; end = chunk.indexOf(0x0a, from)) {
      rest.push(chunk.subarray(from, end));
      yield Buffer.concat(rest).toString('utf8');
      rest = [];
      bytes = 0;
      from = end + 1;
    }
    const left = chunk.subarray(from);
    bytes += left.length;
    if (bytes > LINE_BYTES) throw new DomainError('body_too_large', `A line may have ${LINE_BYTES} bytes.`);
    if (left.length > 0) rest.push(left);
  }
  if (rest.length > 0) yield Buffer.concat(rest).toString('utf8');
}
