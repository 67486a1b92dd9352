import { DomainError, type Clock } from '@sibyl/kernel';
import type { ServedVersion } from '@sibyl/prediction';
import type { SetPins } from './set-pins';
import { unreadable } from './set-policy';

/** A set that was not found is looked for again after this, and waited for no longer. */
const LOOK_AGAIN_MS = 1000;

/** Finds the version of a feature set of one version of a model, where that is not at hand yet: at most once a second. */
export class SetLookup {
  private lookAgainAt = Number.NEGATIVE_INFINITY;
  private looking: Promise<void> | undefined;
  /** The set that was kept for the version here: the registry says so to all a moment later. */
  private kept: string | undefined;
  private lack: DomainError | undefined;

  constructor(
    private readonly pins: Pick<SetPins, 'of'>,
    private readonly clock: Clock,
    private readonly served: ServedVersion,
  ) {}

  /** `name@sha256:...`; undefined: none was found yet. */
  get reference(): string | undefined {
    return this.served.facts.featureSet ?? this.kept;
  }

  /** Answers, once it was looked for, why there is none: of use where there still is none then. */
  async look(): Promise<DomainError> {
    const now = this.clock.monotonic();
    if (now >= this.lookAgainAt) {
      this.lookAgainAt = now + LOOK_AGAIN_MS;
      this.looking = this.find();
    }
    await within(LOOK_AGAIN_MS, this.looking);
    return this.lack ?? unreadable('The feature set of the version could not be read in time.');
  }

  private async find(): Promise<void> {
    const { facts, model, version } = this.served;
    try {
      const { reference, faults } = await this.pins.of(this.served);
      this.kept = reference;
      const named = facts.featureSet ?? facts.manifest.featureSet ?? '';
      const why = `The feature set '${named}' of version ${version} of model '${model}' is not published, or does not fit it.`;
      this.lack = new DomainError('incomplete_features', why, { faults });
    } catch (error) {
      this.lack = orInternal(error);
    }
  }
}

export function orInternal(error: unknown): DomainError {
  if (error instanceof DomainError) return error;
  return new DomainError('internal_error', 'Something went wrong inside.', { cause: error });
}

/** Resolves when the work ends, whatever comes of it, or the time does. */
async function within(limitMs: number, work: Promise<void> | undefined): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, limitMs)));
  try {
    await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
