import type { Outcome } from '@sibyl/audit';

/**
 * An event that a change has put into its transaction. Nobody tells whether that was committed; how the work ended does.
 *
 * The rule: it is the event of whatever has its id if that ended with the status it names, or both ended well. A commit
 * that fails turns a 201 into a 503, and a 422 of a rejected version into a 503 too, so the statuses differ and the request
 * writes its own event. What may still fail after a commit, such as the load after a registration, must not share an id with
 * the change: `LongWork` gives such a change the id of its operation.
 */
export class WrittenEvent {
  private counted = false;

  constructor(
    private readonly id: string,
    private readonly status: number,
    private readonly outcome: Outcome,
    private readonly count: (outcome: Outcome) => void,
  ) {}

  /** Whether it is the event of what has ended under `id` with `status`; counts it the first time that it is. */
  settle(id: string, status: number): boolean {
    const stands = id === this.id && (status === this.status || (status < 400 && this.status < 400));
    if (stands && !this.counted) {
      this.counted = true;
      this.count(this.outcome);
    }
    return stands;
  }
}
