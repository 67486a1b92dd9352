import type { RecordChange } from '@sibyl/audit';
import type { Database } from '@sibyl/database';
import { DomainError, timestamp, TURNS, type Clock } from '@sibyl/kernel';
import type { FeatureView } from '../definitions/feature-view';
import type { Frame } from '../engine/frame';
import type { OnlineRow } from '../engine/online-query';
import type { FeatureValue, ValueStatus } from '../feature-value';
import type { StreamCatalog } from '../log/stream-catalog';
import { FeatureProfile, type ProfileSummary } from '../quality/feature-profile';
import { requestFault } from '../request-fault';
import type { FeatureReads } from '../serving/feature-reads';
import { checkRetention } from '../serving/retention';
import type { Selection, Selections } from '../serving/selection';
import { instantText, MICROS_PER_MS, type Micros } from '../time';
import { gridOf, sliceRows, type GridRequest, type LongRun } from './training-sets';
import { countEntities, entitiesOf, type Grid } from './training-source';

/** Values of one backfill. */
const ROWS_MAX = 10_000_000;

export interface BackfillRequest extends Omit<GridRequest, 'stream'> {
  /** `name`, or `name@` and the beginning of a hash. */
  readonly view: string;
}

export interface BackfillPlan {
  readonly selection: Selection;
  readonly view: FeatureView;
  readonly grid: Grid;
  /** Number of the stream whose entities are computed. */
  readonly stream: number;
  readonly total: number;
}

export interface BackfillResult {
  readonly view: string;
  readonly hash: string;
  readonly entities: number;
  readonly rows: number;
  readonly from: string;
  readonly to: string;
  readonly features: Readonly<Record<string, ProfileSummary>>;
}

export interface BackfillParts {
  readonly database: Database;
  readonly clock: Clock;
  readonly streams: StreamCatalog;
  readonly selections: Selections;
  readonly reads: FeatureReads;
  readonly clockSkewMs: number;
}

/** A view computed over the past from the log: its states come into memory, and what its features came to is its baseline. */
export class Backfills {
  constructor(private readonly parts: BackfillParts) {}

  async prepare(request: BackfillRequest): Promise<BackfillPlan> {
    const { selections, streams, database, clock } = this.parts;
    const selection = await selections.ofView(request.view);
    const { view } = selection;
    const name = (view.streams.find(({ table }) => !table) ?? view.streams[0])?.name;
    const stream = name === undefined ? undefined : streams.stream(name);
    if (!stream)
      throw new DomainError('invalid_parameter', 'The view has no stream that it could be computed from.', {
        faults: [requestFault('/view', 'a view with a stream', request.view)],
      });
    const now = clock.now() * 1000;
    const grid = gridOf(request, { now, skew: this.parts.clockSkewMs * MICROS_PER_MS }, '');
    checkRetention(selection, grid.from, now, '/from');
    const total = (await countEntities(database, stream)) * timesOf(grid);
    if (total > ROWS_MAX)
      throw new DomainError('batch_too_large', `A backfill may have ${ROWS_MAX} rows; these are ${total}.`);
    return { selection, view, grid, stream: stream.id, total };
  }

  async run(plan: BackfillPlan, { signal, onProgress }: LongRun, record: RecordChange): Promise<BackfillResult> {
    const { selection, view, grid, total } = plan;
    const profiles = new Map(selection.members.map(({ feature }) => [feature, new FeatureProfile()]));
    const size = sliceRows(selection);
    let rows: { readonly row: OnlineRow; readonly at: Micros }[] = [];
    let [done, entities] = [0, 0];
    const flush = async (): Promise<void> => {
      signal.throwIfAborted();
      await this.compute(selection, rows, profiles, signal);
      done += rows.length;
      rows = [];
      onProgress(done, total, 'values');
    };
    for await (const entity of entitiesOf(this.parts.database, plan.stream, signal)) {
      const row = { entities: [entity] };
      entities += 1;
      for (let at = grid.from; at <= grid.to; at += grid.step) {
        rows.push({ row, at });
        if (rows.length >= size) await flush();
      }
      await this.parts.reads.warm(selection, [row]);
      if (TURNS.due) await TURNS.next();
    }
    if (rows.length > 0) await flush();
    const features = Object.fromEntries([...profiles].map(([name, profile]) => [name, profile.summary()]));
    await this.keep(view, features, done, { signal, record });
    const { name, hash } = view;
    return { view: name, hash, entities, rows: done, from: instantText(grid.from), to: instantText(grid.to), features };
  }

  /** The newest baselines of these versions, by hash. */
  async baselines(hashes: readonly string[]): Promise<ReadonlyMap<string, BackfillResult['features']>> {
    const rows = await this.parts.database.query<{ hash: string; profile: BackfillResult['features'] }>(
      'SELECT DISTINCT ON (hash) hash, profile FROM features.baseline WHERE hash = ANY ($1) ORDER BY hash, id DESC',
      [hashes],
    );
    return new Map(rows.map(({ hash, profile }) => [hash, profile]));
  }

  private async compute(
    selection: Selection,
    rows: readonly { readonly row: OnlineRow; readonly at: Micros }[],
    profiles: ReadonlyMap<string, FeatureProfile>,
    signal: AbortSignal,
  ): Promise<void> {
    const now = this.parts.clock.now() * 1000;
    // All that is known of the past, corrections and all: of a new view nothing was served.
    const moments = rows.map(({ at }) => ({ at, knownAt: now, corrected: true }));
    const online = rows.map(({ row }) => row);
    const add = (row: number, [frame]: readonly Frame[]): void => {
      if (!frame) return;
      const at = rows[row]?.at ?? 0;
      for (const { feature, slot } of selection.members) {
        const [value, status] = [frame.values[slot] as FeatureValue, frame.statuses[slot] as ValueStatus];
        profiles.get(feature)?.add(value, status, at - (frame.times[slot] as Micros));
      }
    };
    await this.parts.reads.readEach(selection, online, moments, { signal, onRow: add });
  }

  private keep(
    { name, hash }: FeatureView,
    features: BackfillResult['features'],
    rows: number,
    { signal, record }: { readonly signal: AbortSignal; readonly record: RecordChange },
  ): Promise<void> {
    const { database, clock } = this.parts;
    return database.transaction(async (tx) => {
      const values = [name, hash, JSON.stringify(features), timestamp(clock.now())];
      await tx.query('INSERT INTO features.baseline (view, hash, profile, made_at) VALUES ($1, $2, $3, $4)', values);
      signal.throwIfAborted();
      const resource = { type: 'feature_view', id: name };
      await record(tx, { action: 'feature.backfill', resource, changes: { hash, rows } });
    });
  }
}

function timesOf({ from, to, step }: Grid): number {
  return Math.floor((to - from) / step) + 1;
}
