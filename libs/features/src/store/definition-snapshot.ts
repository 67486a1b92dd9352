import type { Database } from '@sibyl/database';
import type { FeatureSet, FeatureView, StreamDefinition } from '../definitions/feature-view';
import type { LoggedStream, StreamCatalog } from '../log/stream-catalog';
import type { DefinitionReader, KnownViews } from './definition-reader';
import { type Ask, currentDefinitions, versionsOf, type NamedDefinition } from './definition-rows';
import { allStreams, type StreamRow } from './stream-rows';

/** NOTIFY channel on which every change of definitions is announced. */
export const FEATURES_CHANNEL = 'sibyl_features';
/** A notification that got lost is made up for in this time. */
const FOLLOW_MS = 5_000;

interface Content {
  readonly views: ReadonlyMap<string, FeatureView>;
  readonly sets: ReadonlyMap<string, FeatureSet>;
  readonly streams: ReadonlyMap<string, LoggedStream>;
  readonly streamsById: ReadonlyMap<number, LoggedStream>;
}

export interface SnapshotParts {
  readonly database: Database;
  readonly reader: DefinitionReader;
  readonly log: { warn(fields: object, message: string): void };
  /** The definitions are others than before. */
  readonly onChange?: () => void;
}

/** All that is published, in the memory of this process; replaced whole when something changes. */
export class DefinitionSnapshot implements StreamCatalog, KnownViews {
  private content: Content = { views: new Map(), sets: new Map(), streams: new Map(), streamsById: new Map() };
  /** Versions never change: what was read once need not be read again. */
  private readonly versions = new Map<string, FeatureView>();
  private readonly checks = new WeakMap<StreamDefinition, LoggedStream['checks']>();
  private running: Promise<void> | undefined;
  private next: Promise<void> | undefined;
  private readonly ask: Ask = (sql, params) => this.parts.database.query(sql, params);
  private mark = '';
  private timer: NodeJS.Timeout | undefined;
  private ignore: () => void = () => undefined;

  constructor(private readonly parts: SnapshotParts) {}

  async start(): Promise<void> {
    await this.refresh();
    this.ignore = await this.parts.database.listen(FEATURES_CHANNEL, () => this.follow());
    this.timer = setInterval(() => this.follow(), FOLLOW_MS).unref();
  }

  stop(): void {
    clearInterval(this.timer);
    this.ignore();
  }

  view(name: string, hash?: string): FeatureView | undefined {
    const current = this.content.views.get(name);
    if (hash === undefined || current?.hash === hash) return current;
    return this.versions.get(`${name} ${hash}`);
  }

  set(name: string): FeatureSet | undefined {
    return this.content.sets.get(name);
  }

  views(): readonly FeatureView[] {
    return [...this.content.views.values()];
  }

  sets(): readonly FeatureSet[] {
    return [...this.content.sets.values()];
  }

  stream(name: string): LoggedStream | undefined {
    return this.content.streams.get(name);
  }

  streamOfId(id: number): LoggedStream | undefined {
    return this.content.streamsById.get(id);
  }

  streamNames(): readonly string[] {
    return [...this.content.streams.keys()];
  }

  /** Resolves when it holds what was published before the call: a look that has begun already may have missed it. */
  refresh(): Promise<void> {
    if (!this.running) {
      this.running = this.load().finally(() => (this.running = undefined));
      return this.running;
    }
    this.next ??= this.running
      .catch(() => undefined)
      .then(() => {
        this.next = undefined;
        return this.refresh();
      });
    return this.next;
  }

  /** A version of a view that was published at any time; undefined where there is none. */
  async olderView(name: string, hash: string): Promise<FeatureView | undefined> {
    const known = this.view(name, hash);
    if (known) return known;
    const [row] = await versionsOf(this.ask, 'view', name, hash.replace('sha256:', ''));
    return row && this.read(row, this);
  }

  private follow(): void {
    this.refresh().catch((error: unknown) =>
      this.parts.log.warn({ err: error }, 'the definitions of features could not be read; those of before stay'),
    );
  }

  private async load(): Promise<void> {
    const [rows, streams] = [await currentDefinitions(this.ask), await allStreams(this.ask)];
    const mark = JSON.stringify([rows.map(({ kind, name, hash }) => [kind, name, hash]), streams]);
    if (mark === this.mark) return;
    const content = await this.contentOf(rows, streams);
    this.content = content;
    this.mark = mark;
    this.parts.onChange?.();
  }

  private async contentOf(rows: readonly NamedDefinition[], streamRows: readonly StreamRow[]): Promise<Content> {
    const views = new Map<string, FeatureView>();
    const sets = new Map<string, FeatureSet>();
    // A view may use streams of others, which then must be read first.
    const pending = new Map(rows.filter(({ kind }) => kind === 'view').map((row) => [row.name, row]));
    const known: KnownViews = {
      view: (name, hash) => {
        const row = pending.get(name);
        if (row && !views.has(name)) {
          pending.delete(name);
          views.set(name, this.read(row, known));
        }
        const current = views.get(name);
        if (hash === undefined || current?.hash === hash) return current;
        return this.versions.get(`${name} ${hash}`);
      },
    };
    for (const { kind, name } of rows) if (kind === 'view') known.view(name);
    for (const { name, resolved } of rows) if (resolved) sets.set(name, resolved);
    // Sets pin versions of views that may not be the current ones any more.
    for (const { members } of sets.values())
      for (const { view, viewHash } of members) if (!known.view(view, viewHash)) await this.olderView(view, viewHash);
    return { views, sets, ...this.streamsOf(views, streamRows) };
  }

  private read(row: NamedDefinition, known: KnownViews): FeatureView {
    const key = `${row.name} ${row.hash}`;
    const made = this.versions.get(key) ?? this.parts.reader.view(row.document, known);
    this.versions.set(key, made);
    return made;
  }

  private streamsOf(
    views: ReadonlyMap<string, FeatureView>,
    rows: readonly StreamRow[],
  ): Pick<Content, 'streams' | 'streamsById'> {
    const byName = new Map(rows.map((row) => [row.name, row]));
    const streams = new Map<string, LoggedStream>();
    for (const { streams: defined, entity, name } of views.values()) {
      for (const definition of defined) {
        const row = byName.get(definition.name);
        if (definition.of !== undefined || row?.view !== name) continue;
        if (!this.checks.has(definition)) this.checks.set(definition, this.parts.reader.checks(definition));
        const checks = this.checks.get(definition);
        const stream = { id: row.id, retentionClass: row.retention_class, definition, entity };
        streams.set(definition.name, { ...stream, ...(checks === undefined ? {} : { checks }) });
      }
    }
    return { streams, streamsById: new Map([...streams.values()].map((stream) => [stream.id, stream])) };
  }
}
