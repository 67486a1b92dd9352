/** Hot path. See docs/paths/predict.md. */
import { DomainError, NEAR_MODELS, nearestWords } from '@sibyl/kernel';
import type { ServedVersion } from './served-version';

/** A model of the snapshot: its versions, where its aliases point and rollbacks lead, and the version that `latest` means. */
export interface ServedModel {
  readonly name: string;
  readonly versions: ReadonlyMap<string, ServedVersion>;
  readonly aliases: ReadonlyMap<string, ServedVersion>;
  /** How often each alias has moved. */
  readonly revisions: ReadonlyMap<string, number>;
  /** What a rollback of one of the aliases would lead to, and what the policy of the model keeps for one. */
  readonly previous: ReadonlySet<ServedVersion>;
  readonly latest: ServedVersion | undefined;
}

/** What a request's model and version come to. */
export interface Resolution {
  readonly served: ServedVersion;
  /** The alias that led there, for the record. */
  readonly alias: string | undefined;
}

const PRODUCTION = 'production';
const LATEST = 'latest';

/** An immutable snapshot of everything that can be asked for; replaced whole by one assignment. */
export class ServingTable {
  static readonly EMPTY = new ServingTable(new Map());

  constructor(readonly models: ReadonlyMap<string, ServedModel>) {}

  /** The version that answers: an exact one, an alias, `latest`; unnamed it is `production`, else `latest`. */
  resolve(model: string, version: string | undefined): Resolution {
    const known = this.models.get(model);
    if (known === undefined) throw this.unknownModel(model);
    const found = version === undefined ? unnamed(known) : named(known, version);
    if (found === undefined) throw unknownVersion(known, version);
    if (!found.served.servable) {
      const { status } = found.served.facts;
      throw new DomainError(
        'version_not_servable',
        `Version ${found.served.version} of model '${model}' is ${status} and cannot serve.`,
      );
    }
    return found;
  }

  private unknownModel(model: string): DomainError {
    const nearModels = nearestWords(model, this.models.keys(), NEAR_MODELS);
    return new DomainError('model_not_found', 'There is no model with this name.', { nearModels });
  }
}

function unnamed(model: ServedModel): Resolution | undefined {
  const production = model.aliases.get(PRODUCTION);
  if (production) return { served: production, alias: PRODUCTION };
  return model.latest && { served: model.latest, alias: LATEST };
}

function named(model: ServedModel, version: string): Resolution | undefined {
  const exact = model.versions.get(version);
  if (exact) return { served: exact, alias: undefined };
  const aliased = model.aliases.get(version);
  if (aliased) return { served: aliased, alias: version };
  if (version === LATEST) return model.latest && { served: model.latest, alias: LATEST };
  const bare = version.startsWith('v') ? model.versions.get(version.slice(1)) : undefined;
  return bare && { served: bare, alias: undefined };
}

function unknownVersion(model: ServedModel, version: string | undefined): DomainError {
  if (version === undefined || version === LATEST) {
    return new DomainError('version_not_found', `Model '${model.name}' has no version that can serve yet.`);
  }
  const near = nearestWords(version, [...model.versions.keys(), ...model.aliases.keys()], 3);
  const hint = near.length ? ` Near: ${near.join(', ')}.` : '';
  return new DomainError('version_not_found', `Model '${model.name}' has no version or alias of this name.${hint}`);
}
