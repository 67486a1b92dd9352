import type { Answer, Question } from './messages';
import type { WorkerProcess } from './worker-process';

/** One question to several workers. */
interface Round {
  readonly asked: Set<WorkerProcess>;
  readonly answers: Map<WorkerProcess, Answer>;
  readonly end: () => void;
}

/** Carries questions to workers and waits for their answers. */
export class Relay {
  private readonly rounds = new Map<number, Round>();
  private lastId = 0;

  /** The answers that have come when all have, or when `limitMs` is over; a worker that ends is not waited for. */
  async ask(
    workers: readonly WorkerProcess[],
    question: Question,
    body: unknown,
    limitMs: number,
  ): Promise<ReadonlyMap<WorkerProcess, Answer>> {
    const answers = new Map<WorkerProcess, Answer>();
    if (workers.length === 0) return answers;
    const id = ++this.lastId;
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.rounds.set(id, { asked: new Set(workers), answers, end: resolve });
      timer = setTimeout(resolve, limitMs);
      for (const worker of workers) worker.send({ kind: 'ask', id, question, body });
    });
    clearTimeout(timer);
    this.rounds.delete(id);
    return answers;
  }

  answer(worker: WorkerProcess, id: number, answer: Answer): void {
    const round = this.rounds.get(id);
    if (round === undefined || !round.asked.delete(worker)) return;
    round.answers.set(worker, answer);
    if (round.asked.size === 0) round.end();
  }

  left(worker: WorkerProcess): void {
    for (const round of this.rounds.values()) if (round.asked.delete(worker) && round.asked.size === 0) round.end();
  }
}
