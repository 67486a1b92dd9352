import { DomainError } from '@sibyl/kernel';
import { FeatureReader, type ServedModel, type ServedVersion, type VersionFeatures } from '@sibyl/prediction';
import { SetFeatures, type SetFeatureParts } from './set-features';

/** The feature service as predictions see it: each version has the set that its manifest names, in the version that it was found in. */
export class SetFeatureReader extends FeatureReader {
  private readonly known = new WeakMap<ServedVersion, SetFeatures>();

  constructor(private readonly parts: SetFeatureParts) {
    super();
  }

  featuresOf(served: ServedVersion): VersionFeatures | undefined {
    if (served.facts.manifest.featureSet === undefined) return undefined;
    const known = this.known.get(served);
    if (known !== undefined) return known;
    const made = new SetFeatures(this.parts, served);
    this.known.set(served, made);
    return made;
  }

  async check(served: ServedVersion): Promise<void> {
    const { featureSet: pinned, manifest } = served.facts;
    if (manifest.featureSet === undefined) return;
    const { faults } = await this.parts.pins.of(served);
    if (faults.length === 0) return;
    const named = pinned ?? manifest.featureSet;
    const anew = pinned === undefined ? '' : ' Validate the version again to take the set as it is published now.';
    throw new DomainError(
      'version_not_servable',
      `The feature set '${named}' cannot serve version ${served.version} of model '${served.model}'.${anew}`,
      { faults },
    );
  }

  /** Has the sets of versions at hand before somebody asks. What cannot be read now is read then. */
  async prepare({ models }: { readonly models: ReadonlyMap<string, ServedModel> }): Promise<void> {
    const versions = [...models.values()].flatMap((model) => [...model.versions.values()]);
    for (const { facts, servable } of versions) {
      if (facts.featureSet === undefined || !servable) continue;
      await this.parts.sets.prepare(facts.featureSet).catch(() => undefined);
    }
  }
}
