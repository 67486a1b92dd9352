import { Injectable } from '@nestjs/common';
import type { ReloadedVersion } from '@sibyl/prediction';
import { LongWork, type LongCall } from '../operations/long-work';
import type { Reply } from '../operations/reply';
import { ModelSources } from './model-sources';
import { Serving, type ReloadedModel } from './serving';

/** Makes what serves what its sources, the registry and the stored bytes say at this moment, on every worker. */
@Injectable()
export class ModelReload {
  constructor(
    private readonly sources: ModelSources,
    private readonly serving: Serving,
    private readonly work: LongWork,
  ) {}

  run(call: LongCall, model: string | undefined): Promise<Reply> {
    return this.work.run(call, 'model.reload', async (signal) => {
      await this.sources.check();
      signal.throwIfAborted();
      const models = await this.serving.reload(model);
      return { status: 200, headers: {}, body: { models } };
    });
  }
}

const BY_WEIGHT: readonly ReloadedVersion['outcome'][] = ['loaded', 'reloaded', 'kept', 'failed'];

/** What several workers came to, as one: of each version the outcome that an operator has to look at. */
export function worstOf(workers: readonly (readonly ReloadedModel[])[]): readonly ReloadedModel[] {
  const [own = [], ...others] = workers;
  return own.map(({ name, ready, versions }) => {
    const same = others.flatMap((models) => models.filter((model) => model.name === name));
    return {
      name,
      ready: ready && same.every((model) => model.ready),
      versions: versions.map((version) => {
        const told = same.flatMap((model) => model.versions.filter((one) => one.version === version.version));
        return [version, ...told].reduce((worst, one) => (weightOf(one) > weightOf(worst) ? one : worst));
      }),
    };
  });
}

function weightOf({ outcome }: Pick<ReloadedVersion, 'outcome'>): number {
  return BY_WEIGHT.indexOf(outcome);
}
