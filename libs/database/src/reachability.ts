import { CallRefusedError } from './database-errors';

/**
 * What this process knows about the server. While it is known to be down, calls are refused at once, so that a frozen
 * server cannot pile up callers that each wait for a timeout; only the lookout goes on trying, and ends that state.
 */
export class Reachability {
  private failure: unknown;
  private down = false;
  private readonly watchers = new Set<(up: boolean) => void>();

  get isUp(): boolean {
    return !this.down;
  }

  get lastError(): unknown {
    return this.failure;
  }

  /** Throws while the server is known to be down. */
  check(): void {
    if (this.down) throw new CallRefusedError('the server is known to be down', { cause: this.failure });
  }

  failed(error: unknown): void {
    this.failure = error;
    if (this.down) return;
    this.down = true;
    this.tell();
  }

  succeeded(): void {
    if (!this.down) return;
    this.down = false;
    this.tell();
  }

  /** Calls back at every change. */
  onChange(watcher: (up: boolean) => void): void {
    this.watchers.add(watcher);
  }

  private tell(): void {
    for (const watcher of this.watchers) watcher(this.isUp);
  }
}
