import { DomainError } from '@sibyl/kernel';
import { FeatureReader, type ServedVersion, type VersionFeatures } from '@sibyl/prediction';
import { SetFeatures, type SetFeatureParts } from './set-features';
import { requireFit } from './set-fit';

/** The feature service as predictions see it: each version has the set that its manifest names. */
export class SetFeatureReader extends FeatureReader {
  private readonly known = new WeakMap<ServedVersion, SetFeatures>();

  constructor(private readonly parts: SetFeatureParts) {
    super();
  }

  featuresOf(served: ServedVersion): VersionFeatures | undefined {
    const reference = served.facts.manifest.featureSet;
    if (reference === undefined) return undefined;
    const known = this.known.get(served);
    if (known !== undefined) return known;
    const made = new SetFeatures(this.parts, served, reference);
    this.known.set(served, made);
    return made;
  }

  async check(served: ServedVersion): Promise<void> {
    const reference = served.facts.manifest.featureSet;
    if (reference === undefined) return;
    const program = await this.parts.sets.prepare(reference);
    if (program === undefined) {
      const detail = `Version ${served.version} of model '${served.model}' names the feature set '${reference}', which is not published.`;
      throw new DomainError('version_not_servable', detail, {
        faults: [{ pointer: '/feature_set', expected: 'a published feature set', received: reference }],
      });
    }
    requireFit(served, program);
  }
}
