/** Hot path. See docs/paths/predict.md. */

/** So many requests that one process has taken off a limit that several processes share. */
export type Taking =
  | {
      readonly policy: 'key' | 'address';
      readonly id: string;
      readonly requests: number;
      readonly seconds: number;
      readonly cost: number;
    }
  | { readonly policy: 'quota'; readonly id: string; readonly period: 'day' | 'month'; readonly cost: number };

/** What is far from any limit is told together: twenty messages a second cost nothing that can be measured. */
const LAZY_MS = 50;

/**
 * Tells the other processes what this one has taken. While what everybody has not told yet is small beside what is left of a
 * limit, there is time; from then on each turn of the event loop tells at once. A key can be overdrawn by no more than the
 * others grant while that message is on its way, and what it got too much is missing afterwards.
 */
export class LimitExchange {
  private untold = new Map<string, { readonly taking: Taking; cost: number }>();
  private lazy: NodeJS.Timeout | undefined;
  private atOnce: NodeJS.Immediate | undefined;

  constructor(
    private readonly processes: number,
    private readonly tell: (takings: readonly Taking[]) => void,
  ) {}

  /** Something was taken; `remaining` is what this process believes to be left after it. */
  note(taking: Taking, remaining: number): void {
    const name = nameOf(taking.policy, taking.id);
    const entry = this.untold.get(name);
    if (entry === undefined) this.untold.set(name, { taking, cost: taking.cost });
    else entry.cost += taking.cost;
    if (!this.review(taking.policy, taking.id, remaining))
      this.lazy ??= setTimeout(() => this.flush(), LAZY_MS).unref();
  }

  /** Less is left than this process thought: what it has not told may no longer wait. */
  review(policy: Taking['policy'], id: string, remaining: number): boolean {
    const untold = this.untold.get(nameOf(policy, id))?.cost ?? 0;
    // Half of what is left, shared among all: the other half is for what is on its way.
    if (2 * this.processes * untold <= remaining) return false;
    if (untold > 0) this.atOnce ??= setImmediate(() => this.flush());
    return true;
  }

  private flush(): void {
    clearTimeout(this.lazy);
    clearImmediate(this.atOnce);
    this.lazy = undefined;
    this.atOnce = undefined;
    const takings = Array.from(this.untold.values(), ({ taking, cost }) => ({ ...taking, cost }));
    this.untold = new Map();
    this.tell(takings);
  }
}

function nameOf(policy: Taking['policy'], id: string): string {
  return policy + id;
}
