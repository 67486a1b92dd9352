import { MICROS_PER_SECOND, type Micros } from '../time';

/** Pushes end well within this: what is not settled after so long waits for something else, a commit that hangs or a long transaction of others. */
export const LONG_AGO: Micros = 60 * MICROS_PER_SECOND;
/** So long it is waited for that. */
const LONG_AGO_MS = 50;

interface Waiting {
  readonly at: Micros;
  readonly end: (reached: boolean) => void;
}

/**
 * Up to which moment all that arrived is known. An arrival is stamped before its commit shows, so of the last moments nobody knows yet
 * what had arrived by then: who asks about one of them waits until it is known, or says that it is not.
 */
export class Settlement {
  /** All events that are stamped until then were told of. */
  upTo: Micros = Number.NEGATIVE_INFINITY;
  private readonly waiting = new Set<Waiting>();
  private hurry: () => void = () => undefined;

  constructor(private readonly now: () => Micros) {}

  /** Somebody waits. */
  get wanted(): boolean {
    return this.waiting.size > 0;
  }

  /** Whoever finds out is told when somebody begins to wait. */
  onWanted(hurry: () => void): void {
    this.hurry = hurry;
  }

  told(upTo: Micros): void {
    this.upTo = upTo;
    for (const one of this.waiting) if (one.at <= upTo) one.end(true);
  }

  /** Nothing more will come to be known of that moment. */
  has(at: Micros): boolean {
    return at <= this.upTo;
  }

  /** Whether that came to hold, after so long at most. */
  async reach(at: Micros, ms: number): Promise<boolean> {
    if (this.has(at) || ms <= 0) return this.has(at);
    const most = at <= this.now() - LONG_AGO ? Math.min(ms, LONG_AGO_MS) : ms;
    const { waiting } = this;
    let timer: NodeJS.Timeout | undefined;
    let one: Waiting | undefined;
    try {
      return await new Promise<boolean>((end) => {
        waiting.add((one = { at, end }));
        timer = setTimeout(() => end(false), most);
        if (waiting.size === 1) this.hurry();
      });
    } finally {
      clearTimeout(timer);
      if (one) waiting.delete(one);
    }
  }
}
