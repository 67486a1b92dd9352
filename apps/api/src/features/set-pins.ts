import type { SetReads } from '@sibyl/features';
import { contractOf, type ServedVersion } from '@sibyl/prediction';
import type { FeatureNeeds, FeatureSetPin, FoundFeatureSet } from '@sibyl/registry';
import { gaps, misfits } from './set-fit';

export interface SetPinParts {
  readonly sets: Pick<SetReads, 'prepare'>;
  /** Keeps a set for a version that has none, and answers what it has then. */
  readonly keep: (pin: FeatureSetPin) => Promise<string>;
}

/** Which version of a feature set a version of a model takes its features from: one, which is found once. */
export class SetPins {
  constructor(private readonly parts: SetPinParts) {}

  /** The set that a reference means now, and whether it can serve. Throws where the database cannot say. */
  async find(needs: FeatureNeeds, reference: string): Promise<FoundFeatureSet> {
    const selection = await this.parts.sets.prepare(reference);
    if (selection === undefined)
      return { faults: [{ pointer: '/feature_set', expected: 'a published feature set', received: reference }] };
    const contract = contractOf(needs);
    const wrong = misfits(contract, selection);
    if (wrong.length > 0) return { faults: wrong.slice(0, FAULTS) };
    const { reference: found } = selection;
    // At hand from now on, whatever the name means by then.
    if (found !== reference) await this.parts.sets.prepare(found);
    return { reference: found, faults: gaps(contract, selection).slice(0, FAULTS) };
  }

  /** The same for a version that is served: it keeps what is found first. */
  async of({ facts, model, version }: ServedVersion): Promise<FoundFeatureSet> {
    const { featureSet: pinned, manifest } = facts;
    const found = await this.find(facts, pinned ?? manifest.featureSet ?? '');
    const { reference } = found;
    if (pinned !== undefined || reference === undefined) return found;
    const kept = await this.parts.keep({ model, version, reference });
    return kept === reference ? found : this.find(facts, kept);
  }
}

const FAULTS = 64;
