import { DomainError } from '@sibyl/kernel';

export type DrainState = 'serving' | 'draining' | 'stopped';

/** Whether this process still takes requests; everything that answers asks it. */
export class Drain {
  state: DrainState = 'serving';

  /** Answers end their connections from now on, so that clients and load balancers go elsewhere. */
  get closing(): boolean {
    return this.state !== 'serving';
  }

  /** Requests that come after the limit of the drain are not begun. */
  refuseWhenStopped(): void {
    if (this.state === 'stopped')
      throw new DomainError('shutting_down', 'This instance is shutting down.', { retryAfterSeconds: 5 });
  }
}
