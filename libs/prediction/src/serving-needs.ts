import type { Clock } from '@sibyl/kernel';
import { PRODUCTION } from '@sibyl/registry';
import { Hold } from './model-memory';
import type { PredictionOptions } from './prediction-options';
import type { ServedVersion } from './served-version';
import type { ServingTable } from './serving-table';

/** What a serving table needs to have in memory, and how firmly. */
export class ServingNeeds {
  constructor(
    private readonly table: () => ServingTable,
    private readonly clock: Clock,
    private readonly options: Pick<PredictionOptions, 'keepLoaded'>,
  ) {}

  /** Every version that there is. */
  all(): ServedVersion[] {
    return [...this.table().models.values()].flatMap((model) => [...model.versions.values()]);
  }

  /** What must serve before this process is ready: every alias, and what a model without `production` answers with. */
  preloaded(): ServedVersion[] {
    return [...this.table().models.values()].flatMap((model) => {
      const aliased = [...model.aliases.values()];
      return model.aliases.has(PRODUCTION) || model.latest === undefined ? aliased : [...aliased, model.latest];
    });
  }

  /** What should be loaded, the firmest first. */
  wanted(): ServedVersion[] {
    const held = (hold: Hold) => this.all().filter((served) => this.holdOf(served) === hold);
    const latest = [...this.table().models.values()].flatMap((model) => model.latest ?? []);
    const all = new Set([...held(Hold.alias), ...held(Hold.manifest), ...latest]);
    return [...all].filter((served) => served.servable && !served.parked);
  }

  /** What rollbacks would lead to: loaded after everything else, so that it delays neither a start nor a switch. */
  previous(): ServedVersion[] {
    const all = new Set([...this.table().models.values()].flatMap((model) => [...model.previous]));
    return [...all].filter((served) => served.servable && !served.parked);
  }

  holdOf(served: ServedVersion): Hold {
    const model = this.table().models.get(served.model);
    if (model === undefined) return Hold.none;
    if (served.promisedUntil > this.clock.monotonic()) return Hold.alias;
    if (this.options.keepLoaded.includes(`${served.model}@${served.version}`)) return Hold.alias;
    for (const aliased of model.aliases.values()) if (aliased === served) return Hold.alias;
    if (!served.servable) return Hold.none;
    if (model.previous.has(served)) return Hold.previous;
    return served.facts.manifest.runtime?.keepLoaded === true ? Hold.manifest : Hold.none;
  }
}
