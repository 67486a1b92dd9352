import type { RuleAction, RulePhase } from '../definitions/feature-view';
import type { FeatureValue } from '../feature-value';
import type { Micros } from '../time';
import type { RuleMoment } from './rule-context';

/** Samples that a line keeps: the newest. */
const SAMPLES = 20;
/** Rules that are counted one by one; all others share a line, so that nobody's definitions fill the memory. */
const LINES_MAX = 20_000;

/** Which rule of what. The same in all versions of a view, so that its counts go on. */
export interface RuleName {
  readonly view: string;
  /** A feature, `stream.field`, or a stream for rules on its events. */
  readonly target: string;
  /** `between`, `in_set`, ...: the word of the definition. */
  readonly rule: string;
  readonly action: RuleAction;
}

/**
 * A value that did not keep to a rule, as others may see it: its type and its size, never what it says. Of a number the sign and
 * the power of ten, of a text its length.
 */
export interface RuleSample {
  readonly at: Micros;
  readonly phase: RulePhase;
  readonly type: 'number' | 'string' | 'bool' | 'list' | 'event';
  /** `-1e3` for -4711, `0` for 0. */
  readonly magnitude?: string;
  readonly length?: number;
}

/** How often one rule did not hold, as it may be sent elsewhere. */
export interface RuleCount {
  readonly name: RuleName;
  readonly violations: number;
  /** Newest first. */
  readonly samples: readonly RuleSample[];
}

/** How often one rule did not hold. */
export class TallyLine implements RuleCount {
  private count = 0;
  private readonly newest: RuleSample[] = [];

  constructor(
    readonly name: RuleName,
    private readonly phase: RulePhase,
  ) {}

  add(value: FeatureValue | undefined, moment: RuleMoment): void {
    const phase = moment.given === true ? 'request' : this.phase;
    this.newest[this.count++ % SAMPLES] = { at: moment.at, phase, ...redacted(value) };
  }

  get violations(): number {
    return this.count;
  }

  /** Newest first. */
  get samples(): readonly RuleSample[] {
    const next = this.count % SAMPLES;
    return [...this.newest.slice(next), ...this.newest.slice(0, next)].reverse();
  }
}

/** Counts the values that did not keep to their rules, for metrics and for whoever looks after a view. */
export class RuleTally {
  private readonly known = new Map<string, TallyLine>();
  private readonly others = new TallyLine({ view: 'other', target: 'other', rule: 'other', action: 'warn' }, 'serve');

  /** The line of a rule, the same one for the same name. */
  line(name: RuleName, phase: RulePhase): TallyLine {
    const key = keyOf(name);
    const known = this.known.get(key);
    if (known) return known;
    if (this.known.size >= LINES_MAX) return this.others;
    const line = new TallyLine(name, phase);
    this.known.set(key, line);
    return line;
  }

  /** Lines that counted something. */
  lines(): readonly TallyLine[] {
    return [...this.known.values(), this.others].filter(({ violations }) => violations > 0);
  }
}

/** The counts of several tallies as those of one. */
export function mergeCounts(counts: readonly RuleCount[]): readonly RuleCount[] {
  const merged = new Map<string, RuleCount>();
  for (const { name, violations, samples } of counts) {
    const key = keyOf(name);
    const known = merged.get(key);
    const all = [...(known?.samples ?? []), ...samples].sort((a, b) => b.at - a.at).slice(0, SAMPLES);
    merged.set(key, { name, violations: violations + (known?.violations ?? 0), samples: all });
  }
  return [...merged.values()];
}

function keyOf({ view, target, rule, action }: RuleName): string {
  return `${view} ${target} ${rule} ${action}`;
}

function redacted(value: FeatureValue | undefined): Omit<RuleSample, 'at' | 'phase'> {
  switch (typeof value) {
    case 'number':
      return { type: 'number', magnitude: magnitude(value) };
    case 'string':
      return { type: 'string', length: value.length };
    case 'boolean':
      return { type: 'bool' };
    default:
      return Array.isArray(value) ? { type: 'list', length: value.length } : { type: 'event' };
  }
}

function magnitude(value: number): string {
  if (value === 0 || !Number.isFinite(value)) return String(value);
  return `${value < 0 ? '-' : ''}1e${Math.floor(Math.log10(Math.abs(value)))}`;
}
