/** Hot path. See docs/paths/predict.md. */
import type { QuotaPeriod } from './api-key';

/** So many requests that one process has taken off a limit that several processes share. */
export type Taking =
  | {
      readonly policy: 'key' | 'address';
      readonly id: string;
      readonly requests: number;
      readonly seconds: number;
      readonly cost: number;
    }
  | { readonly policy: 'quota'; readonly id: string; readonly period: QuotaPeriod; readonly cost: number };

/** What is far from any limit is told together: twenty messages a second cost nothing that can be measured. */
const LAZY_MS = 50;

/**
 * Tells the other processes what this one has taken. As long as everybody's untold takings together still fit into what is left
 * of a limit, nobody can overdraw it, and there is time; from then on each turn of the event loop tells at once. A key can be
 * overdrawn by no more than the others grant while that message is on its way, and what it got too much is missing afterwards.
 */
export class LimitExchange {
  private untold = new Map<string, { readonly taking: Taking; cost: number }>();
  private lazy: NodeJS.Timeout | undefined;
  private atOnce: NodeJS.Immediate | undefined;

  constructor(
    private readonly others: number,
    private readonly tell: (takings: readonly Taking[]) => void,
  ) {}

  /** `remaining` is what this process believes to be left after it. */
  note(taking: Taking, remaining: number): void {
    const name = `${taking.policy}${taking.id}`;
    let entry = this.untold.get(name);
    if (entry === undefined) {
      entry = { taking, cost: taking.cost };
      this.untold.set(name, entry);
    } else entry.cost += taking.cost;
    if (entry.cost * this.others > remaining) this.atOnce ??= setImmediate(() => this.flush());
    else this.lazy ??= setTimeout(() => this.flush(), LAZY_MS).unref();
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
