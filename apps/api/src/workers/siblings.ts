import { DomainError, type ErrorCode } from '@sibyl/kernel';
import type { Answer, Question, Topic } from './messages';

/**
 * The workers beside this one. What every worker holds for itself, limits, the serving table, operations, is made to look like
 * that of one server by telling and asking them.
 */
export abstract class Siblings {
  /** Which worker this is, and of how many. */
  abstract readonly index: number;
  abstract readonly count: number;

  /** Whatever the others answer within `limitMs`; one that ends or hangs is left out. */
  abstract ask(question: Question, body: unknown, limitMs: number): Promise<readonly Answer[]>;
  abstract tell(topic: Topic, body: unknown): void;
  /** What this worker does when it is asked, and when it is told. */
  abstract onAsked(question: Question, work: (body: never) => Promise<unknown>): void;
  abstract onTold(topic: Topic, work: (body: never) => void): void;
  /** The metrics of all workers as those of one. Undefined where there is one process: its own are all there are. */
  abstract scrape(): Promise<string | undefined>;
}

/** Of a server of one process: nobody to ask, and nothing that it costs. */
export class NoSiblings extends Siblings {
  readonly index = 1;
  readonly count = 1;

  ask(): Promise<readonly Answer[]> {
    return Promise.resolve([]);
  }

  tell(): void {
    // Nobody listens.
  }

  onAsked(): void {
    // Nobody asks.
  }

  onTold(): void {
    // Nobody tells.
  }

  scrape(): Promise<undefined> {
    return Promise.resolve(undefined);
  }
}

/**
 * Throws the first refusal among the answers, so that whoever asked hears of it. Nothing is undone: what some workers have done
 * stands, and one that has not answered in time has refused nothing.
 */
export function refuseAnyError(answers: readonly Answer[]): void {
  for (const { error } of answers)
    if (error !== undefined) throw new DomainError(error.code as ErrorCode, error.detail);
}
