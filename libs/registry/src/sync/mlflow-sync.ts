import type { RecordChange } from '@sibyl/audit';
import type { Database } from '@sibyl/database';
import { DomainError, systemActor, type Actor, type Clock } from '@sibyl/kernel';
import type { AliasMove } from '../model-aliases';
import type { ModelCatalog } from '../model-catalog';
import type { ModelImporter } from '../model-importer';
import { isServable, type ModelVersion } from '../model-version';
import { same, type MlflowVersion } from '../sources/mlflow-client';
import type { OpenedMlflow, RemoteSources } from '../sources/remote-sources';
import { markStandIn } from './stand-in';
import type { SyncRule } from './sync-rule';
import { SyncState, type DealtWith, type DueSync } from './sync-state';

export interface SyncLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

/** What became of one look at a registry. */
export type SyncResult = 'unchanged' | 'imported' | 'refused' | 'failed';

export interface SyncParts {
  readonly database: Database;
  readonly clock: Clock;
  readonly sources: RemoteSources;
  readonly importer: ModelImporter;
  readonly catalog: ModelCatalog;
  /** How long a model may be held while it is fetched and validated. */
  readonly leaseMs: number;
}

/** What a process gives a sync that it runs. */
export interface SyncHost {
  readonly record: RecordChange;
  readonly log: SyncLog;
  /** Makes the version serve under an alias, by all rules that hold for people too. */
  readonly promote: (actor: Actor, move: AliasMove) => Promise<unknown>;
  readonly onResult?: (model: string, result: SyncResult) => void;
}

interface Found {
  readonly version: MlflowVersion;
  /** The stage or alias that was wanted, where the version is from another. */
  readonly insteadOf?: string;
}

const TICK_MS = 5_000;
const RETRY_MS = 15_000;
/** One in five, so that servers which began together do not ask together for ever. */
const JITTER = 0.2;
const ACTOR = systemActor('mlflow-sync');

/**
 * Lets models follow MLflow: each in its own time, one process at a time. What cannot be asked is asked again later and later; what
 * serves here never depends on it.
 */
export class MlflowSync {
  private readonly state: SyncState;
  private readonly abort = new AbortController();
  private timer: NodeJS.Timeout | undefined;
  private running: Promise<void> | undefined;

  constructor(
    private readonly parts: SyncParts,
    private readonly host: SyncHost,
  ) {
    this.state = new SyncState(parts.database, parts.leaseMs);
  }

  start(): void {
    this.timer = setInterval(() => void this.tick(), TICK_MS);
    this.timer.unref();
  }

  async stop(): Promise<void> {
    clearInterval(this.timer);
    this.abort.abort(new Error('the server stops'));
    await this.running;
  }

  /** Looks at every model that is due; a call while one runs waits for that one. */
  tick(): Promise<void> {
    this.running ??= this.run().finally(() => (this.running = undefined));
    return this.running;
  }

  private async run(): Promise<void> {
    try {
      for await (const due of this.state.due()) {
        if (this.abort.signal.aborted) return;
        await this.one(due);
      }
    } catch (error) {
      // Without the database nothing is due; the next tick asks again.
      if (!this.abort.signal.aborted) this.host.log.warn({ err: error }, 'what models follow could not be looked up');
    }
  }

  private async one(due: DueSync): Promise<void> {
    const { model, rule } = due;
    try {
      const { result, last } = await this.follow(due);
      this.host.onResult?.(model, result);
      await this.state.finish(due, { failures: 0, dueInMs: spread(rule.ttlSeconds * 1000), last });
    } catch (error) {
      if (this.abort.signal.aborted) return;
      this.host.onResult?.(model, 'failed');
      const failures = due.failures + 1;
      const dueInMs = spread(Math.min(rule.ttlSeconds * 1000, RETRY_MS * 2 ** Math.min(failures, 12)));
      this.host.log.warn(
        { model, name: rule.name, err: error },
        'the registry that a model follows could not be asked',
      );
      await this.state.finish(due, { failures, dueInMs, problem: problemOf(error) });
    }
  }

  private async follow(due: DueSync): Promise<Done> {
    const { model, rule } = due;
    const mlflow = this.parts.sources.mlflow(rule.registryUri, '/sync/registry_uri');
    try {
      const found = await this.find(mlflow, rule);
      const asked = { registryUri: mlflow.client.server, registryVersion: found.version.version };
      const last = isSame(due.last, asked) ? due.last : undefined;
      const known = await this.known(due, asked, last?.version);
      // What was refused once is refused again: it is not fetched each time to find that out.
      if (known === undefined && last && last.detail !== null) return { result: 'unchanged', last };
      const version = known ?? (await this.fetch(due, mlflow, found));
      if (!(version instanceof DomainError)) {
        await markStandIn(this.parts, version, found.insteadOf, this.host.record);
        const detail = last ? last.detail : await this.promote(rule, version);
        return { result: known ? 'unchanged' : 'imported', last: { ...asked, version: version.version, detail } };
      }
      const { registryVersion } = asked;
      this.host.log.warn(
        { model, version: registryVersion, err: version },
        'a version that a model follows was refused',
      );
      return { result: 'refused', last: { ...asked, version: null, detail: version.detail } };
    } finally {
      mlflow.http.close();
    }
  }

  /** The version that the rule means at this moment. */
  private async find({ client }: OpenedMlflow, rule: SyncRule): Promise<Found> {
    const { name, alias, stages = [], fallback } = rule;
    const { signal } = this.abort;
    if (alias !== undefined) {
      const version = await client.byAlias(name, alias, signal).catch((error: unknown) => ignoreAbsent(error));
      if (version) return { version };
    }
    const wanted = alias ?? stages[0] ?? '';
    for (const stage of [...stages, ...fallback]) {
      const version = await client.newest(name, stage, signal);
      if (version?.status !== 'READY') continue;
      return stages.some((asked) => same(asked, stage)) ? { version } : { version, insteadOf: wanted };
    }
    throw new DomainError('source_unavailable', `MLflow has no version of '${name}' in any stage that is asked for.`);
  }

  /** The version here that this one became before: of the same server, for others have a version of that number too. */
  private async known(
    { model, rule }: DueSync,
    { registryUri, registryVersion }: RegistryVersion,
    became: string | null | undefined,
  ): Promise<ModelVersion | undefined> {
    const [row] = await this.parts.database.query<{ version: string }>(
      `SELECT version FROM registry.model_version WHERE model = $1 AND status NOT IN ('registered', 'rejected')
         AND (version = $4 OR (source->>'resolvedUri' = $2 AND source->>'registryUri' = $3))
       ORDER BY version IS NOT DISTINCT FROM $4 DESC, arrival DESC LIMIT 1`,
      [model, `models:/${rule.name}/${registryVersion}`, registryUri, became ?? null],
    );
    return row && this.parts.catalog.find(model, row.version);
  }

  /** Imports; what the package itself is refused for is an answer and no failure. */
  private async fetch(due: DueSync, { source }: OpenedMlflow, found: Found): Promise<ModelVersion | DomainError> {
    const { model, rule, setBy } = due;
    const uri = `models:/${rule.name}/${found.version.version}`;
    const { signal } = this.abort;
    try {
      const request = { uri, pointer: '/sync', name: model, call: { signal } };
      const { version } = await this.parts.importer.importRemote(
        following(setBy),
        request,
        this.host.record,
        async (until) => {
          return { remote: await source.openVersion(found.version, until), close: () => undefined };
        },
      );
      return version;
    } catch (error) {
      if (error instanceof DomainError && OF_THE_PACKAGE.has(error.code)) return error;
      throw error;
    }
  }

  /**
   * Moves the alias once for each version that comes: where somebody has moved it back since, it stays there. What the policy
   * refuses waits for people; returns why.
   */
  private async promote({ promote: alias, name }: SyncRule, version: ModelVersion): Promise<string | null> {
    if (alias === undefined || !isServable(version.status) || version.aliases.includes(alias)) return null;
    const { model, version: number } = version;
    const reason = `followed '${name}' of MLflow`;
    try {
      const present = await this.parts.catalog.aliasAt(model, alias).catch((error: unknown) => ignoreAbsent(error));
      const precondition = present ? { ifMatch: present.etag } : { ifNoneMatch: '*' };
      await this.host.promote(ACTOR, { model, alias, version: number, reason, ...precondition });
      this.host.log.info({ model, version: number, name: alias }, 'a model followed its registry');
      return null;
    } catch (error) {
      if (!(error instanceof DomainError) || error.kind === 'unavailable' || error.code === 'etag_mismatch')
        throw error;
      this.host.log.warn(
        { model, version: number, name: alias, err: error },
        'a version that came waits to be promoted',
      );
      return error.detail;
    }
  }
}

interface Done {
  readonly result: SyncResult;
  readonly last: DealtWith;
}

type RegistryVersion = Pick<DealtWith, 'registryUri' | 'registryVersion'>;

function isSame(last: DealtWith | undefined, { registryUri, registryVersion }: RegistryVersion): boolean {
  return last?.registryUri === registryUri && last.registryVersion === registryVersion;
}

/** What the bytes themselves are refused for; what may not be read today may be tomorrow. */
const OF_THE_PACKAGE: ReadonlySet<string> = new Set(['model_rejected', 'manifest_mismatch', 'version_conflict']);

/** What comes is registered in the name of who made the model follow: whoever else approves it is a second person. */
function following({ id, person = id, owner, name }: Actor): Actor {
  return { ...ACTOR, person, owner: owner ?? name };
}

/** In words for everybody who may read the policy; the log has more. */
function problemOf(error: unknown): string {
  return error instanceof DomainError ? error.detail : 'The registry could not be asked.';
}

function spread(ms: number): number {
  return Math.round(ms * (1 + JITTER * (Math.random() - 0.5)));
}

function ignoreAbsent(error: unknown): undefined {
  const absent = error instanceof DomainError && (error.kind === 'not_found' || error.code === 'invalid_parameter');
  if (!absent) throw error;
}
