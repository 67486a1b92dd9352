import { DomainError, type Clock, type IdSource } from '@sibyl/kernel';
import type { OnProgress } from '@sibyl/registry';
import { internalError } from '../http/problem';
import type { Operation } from './operation';

export interface OperationStart {
  readonly kind: string;
  readonly keyId: string;
  /** Does the work under the id of its operation, and ends with the reason of `signal` where that could stop it. */
  readonly work: (signal: AbortSignal, id: string, onProgress: OnProgress) => Promise<unknown>;
}

/** The reason of the signal of a cancelled operation; work that throws it has ended because it was told to. */
export class OperationCancelled extends Error {
  constructor() {
    super('the operation was cancelled');
  }
}

/** An operation with its end, for whoever waits. */
export interface BegunOperation {
  readonly id: string;
  /** The result of the work, or its failure. */
  readonly ended: Promise<unknown>;
}

interface Entry {
  operation: Operation;
  readonly abort: AbortController;
}

/**
 * The operations of this process, in memory: they die with the process that runs them. As many as the limit are
 * remembered; of the key that has most of them that have ended, the oldest one makes room for a new one, so that no key pushes out
 * what others have yet to ask about. Running ones never do.
 */
export class Operations {
  private readonly entries = new Map<string, Entry>();

  constructor(
    private readonly ids: IdSource,
    private readonly clock: Clock,
    private readonly limit: number,
  ) {}

  get running(): number {
    let running = 0;
    for (const { operation } of this.entries.values()) if (operation.status === 'running') running += 1;
    return running;
  }

  begin({ kind, keyId, work }: OperationStart): BegunOperation {
    this.makeRoom();
    const id = this.ids.next();
    const abort = new AbortController();
    const progress = { done: 0, total: 1 };
    const operation: Operation = { id, kind, keyId, startedAtMs: this.clock.now(), status: 'running', progress };
    this.entries.set(id, { operation, abort });
    const ended = work(abort.signal, id, (done, total, what) => this.advance(id, { done, total, what }));
    ended.then(
      (result) => this.end(id, { status: 'succeeded', progress: this.completed(id), result }),
      (error: unknown) => this.end(id, failureOf(error)),
    );
    return { id, ended };
  }

  /** The operation, for the key that began it and for those who may see all. Others learn nothing, not even that it exists. */
  find(id: string, keyId: string, seesAll: boolean): Operation {
    const entry = this.entries.get(id);
    if (entry === undefined || !(seesAll || entry.operation.keyId === keyId)) {
      throw new DomainError('operation_not_found', 'There is no operation with this id.');
    }
    return entry.operation;
  }

  /** Asks the work to stop. Until it has, the operation runs on; what was done before it heard of it has succeeded. */
  cancel(id: string, keyId: string, seesAll: boolean): Operation {
    this.find(id, keyId, seesAll);
    this.entries.get(id)?.abort.abort(new OperationCancelled());
    return this.find(id, keyId, seesAll);
  }

  /** Takes an operation out of the list again: its request was answered with the result itself. */
  forget(id: string): void {
    this.entries.delete(id);
  }

  private advance(id: string, progress: Operation['progress']): void {
    const entry = this.entries.get(id);
    if (entry?.operation.status === 'running') entry.operation = { ...entry.operation, progress };
  }

  private completed(id: string): Operation['progress'] {
    const total = this.entries.get(id)?.operation.progress.total ?? 1;
    return { done: total, total };
  }

  private end(id: string, outcome: Partial<Operation>): void {
    const entry = this.entries.get(id);
    if (entry === undefined || entry.operation.status !== 'running') return;
    entry.operation = { ...entry.operation, ...outcome, endedAtMs: this.clock.now() };
  }

  private makeRoom(): void {
    if (this.entries.size < this.limit) return;
    const ended = new Map<string, string[]>();
    for (const [id, { operation }] of this.entries) {
      if (operation.status === 'running') continue;
      const ids = ended.get(operation.keyId);
      if (ids) ids.push(id);
      else ended.set(operation.keyId, [id]);
    }
    let most: readonly string[] = [];
    for (const ids of ended.values()) if (ids.length > most.length) most = ids;
    const [oldest] = most;
    if (oldest !== undefined) return this.forget(oldest);
    throw new DomainError('queue_full', `There are ${this.limit} operations running.`, { retryAfterSeconds: 30 });
  }
}

/** How an operation has ended whose work threw this. */
export function failureOf(error: unknown): Pick<Operation, 'status' | 'error'> {
  if (error instanceof OperationCancelled) return { status: 'cancelled' };
  return { status: 'failed', error: error instanceof DomainError ? error : internalError(error) };
}
