/** Long enough to be worth the way through the event loop, short enough that a request which takes six turns notices little. */
const SLICE_MS = 1;

/** What long work asks from time to time, so that it holds nobody up. */
export interface Pace {
  /** The slice is used up. */
  readonly due: boolean;
  /** Resolves when the next slice begins; rejects when the work is not wanted any more. */
  next(): Promise<void>;
}

/**
 * Long work in slices. In each turn of the event loop one of those who work has a slice, in the order in which they asked, and
 * then everything else is served that has come meanwhile.
 */
export class Turns implements Pace {
  private readonly waiting: (() => void)[] = [];
  private endsAt = 0;
  private scheduled = false;
  private readonly turn = (): void => this.begin();

  get due(): boolean {
    return performance.now() >= this.endsAt;
  }

  next(): Promise<void> {
    if (!this.scheduled) setImmediate(this.turn);
    this.scheduled = true;
    return new Promise((resolve) => this.waiting.push(resolve));
  }

  private begin(): void {
    const first = this.waiting.shift();
    this.scheduled = this.waiting.length > 0;
    if (this.scheduled) setImmediate(this.turn);
    this.endsAt = performance.now() + SLICE_MS;
    first?.();
  }
}

/** Those of this process, which has one event loop. */
export const TURNS = new Turns();
