import { Injectable } from '@nestjs/common';
import {
  FeatureQuality,
  mergeCounts,
  RuleTally,
  type Micros,
  type ProfileLine,
  type ProfileLineParts,
  type RuleCount,
} from '@sibyl/features';
import { Siblings } from '../workers/siblings';

/** A worker that does not answer in this time is left out, and the answer says of how many it is. */
const ASK_MS = 1_000;

interface Wanted {
  readonly from: Micros;
  readonly view?: string | undefined;
}

/** What one worker tells another. */
interface Told {
  readonly lines: readonly ProfileLineParts[];
  readonly rules: readonly RuleCount[];
}

/** What was served, and the rules that did not hold. */
export interface Served {
  readonly lines: readonly ProfileLine[];
  readonly rules: readonly RuleCount[];
  /** Whose it is: all of them, as a rule. */
  readonly workers: number;
}

/** What all workers of this server have served, as if it were one. */
@Injectable()
export class TeamQuality {
  constructor(
    private readonly quality: FeatureQuality,
    private readonly tally: RuleTally,
    private readonly siblings: Siblings,
  ) {
    siblings.onAsked('quality', (wanted: Wanted) => Promise.resolve(this.told(wanted)));
  }

  async since(wanted: Wanted): Promise<Served> {
    const lines = this.quality.since(wanted.from, wanted.view);
    const rules = [...this.rulesOf(wanted)];
    let workers = 1;
    for (const { value } of await this.siblings.ask('quality', wanted, ASK_MS)) {
      if (value === undefined) continue;
      const told = value as Told;
      for (const line of told.lines) lines.take(line);
      rules.push(...told.rules);
      workers += 1;
    }
    return { lines: lines.lines, rules: mergeCounts(rules), workers };
  }

  private told(wanted: Wanted): Told {
    return { lines: this.quality.since(wanted.from, wanted.view).parts, rules: this.rulesOf(wanted) };
  }

  private rulesOf({ view }: Wanted): readonly RuleCount[] {
    const lines = this.tally.lines().filter(({ name }) => view === undefined || name.view === view);
    return lines.map(({ name, violations, samples }) => ({ name, violations, samples }));
  }
}
