import type { Database } from '@sibyl/database';
import type { FeatureSet, FeatureView, StreamDefinition } from '../definitions/feature-view';
import type { KeptStream, LoggedStream, StreamCatalog } from '../log/stream-catalog';
import type { KnownViews } from '../definitions/set-definition';
import type { DefinitionCompiler } from './definition-compiler';
import { type Ask, currentDefinitions, versionsOf, type NamedDefinition } from './definition-rows';
import { allStreams, type StreamRow } from './stream-rows';

/** NOTIFY channel on which every change of definitions is announced. */
export const FEATURES_CHANNEL = 'sibyl_features';
/** Versions of views that one set may name. */
const OLDER_VIEWS = 64;
const VERSION_REFERENCE = /([a-z][a-z0-9_]{0,62})@(?:sha256:)?([0-9a-f]{6,64}):/g;
/** Versions of sets that models take their features from, which are kept in memory. */
const MOST_PINNED = 1024;
/** A notification that got lost is made up for in this time. */
const FOLLOW_MS = 5_000;

interface Content {
  readonly views: ReadonlyMap<string, FeatureView>;
  readonly sets: ReadonlyMap<string, FeatureSet>;
  readonly streams: ReadonlyMap<string, LoggedStream>;
  readonly kept: ReadonlyMap<string, KeptStream>;
  readonly keptById: ReadonlyMap<number, KeptStream>;
}

const EMPTY: Content = { views: new Map(), sets: new Map(), streams: new Map(), kept: new Map(), keptById: new Map() };

export interface SnapshotParts {
  readonly database: Database;
  readonly compiler: DefinitionCompiler;
  readonly log: { warn(fields: object, message: string): void };
  /** The definitions are others than before. */
  readonly onChange?: () => void;
}

/** All that is published, in the memory of this process; replaced whole when something changes. */
export class DefinitionSnapshot implements StreamCatalog {
  private content = EMPTY;
  /** Versions never change: what was read once need not be read again. */
  private readonly versions = new Map<string, FeatureView>();
  private readonly pins = new Map<string, FeatureSet>();
  private readonly rules = new WeakMap<StreamDefinition, LoggedStream['rules']>();
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

  kept(name: string): KeptStream | undefined {
    return this.content.kept.get(name);
  }

  keptOfId(id: number): KeptStream | undefined {
    return this.content.keptById.get(id);
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
  async olderView(name: string, hash: string, ask = this.ask): Promise<FeatureView | undefined> {
    const known = this.view(name, hash);
    if (known) return known;
    const [row] = await versionsOf(ask, 'view', name, hash.replace('sha256:', ''));
    return row && !('members' in row.resolved) ? this.keep(row.resolved) : undefined;
  }

  /** A version of a set that is kept for models that name it by its hash. */
  pinned(reference: string): FeatureSet | undefined {
    return this.pins.get(reference);
  }

  pinnedSets(): Iterable<FeatureSet> {
    return this.pins.values();
  }

  /** Keeps the set that `name@` and the beginning of a hash stand for, with the versions of its views, whatever is published later. */
  async pin(reference: string): Promise<void> {
    if (this.pins.has(reference)) return;
    const [name = '', hash = ''] = reference.split('@');
    const rows = await versionsOf(this.ask, 'set', name, hash.replace('sha256:', ''));
    const [found] = rows;
    if (found === undefined || rows.length > 1 || !('members' in found.resolved)) return;
    for (const { view, viewHash } of found.resolved.members) await this.olderView(view, viewHash);
    const [oldest] = this.pins.keys();
    // What is not kept in memory is read from the log.
    if (this.pins.size >= MOST_PINNED && oldest !== undefined) this.pins.delete(oldest);
    this.pins.set(reference, found.resolved);
    this.parts.onChange?.();
  }

  /** The current views, and those that a document names by the beginning of their hashes; as `ask` sees them. */
  async viewsNamedIn(document: unknown, ask: Ask): Promise<KnownViews> {
    const current = new Map<string, FeatureView>();
    for (const { resolved } of await currentDefinitions(ask))
      if (!('members' in resolved)) current.set(resolved.name, this.keep(resolved));
    const older = new Map<string, FeatureView>();
    for (const [, name = '', prefix = ''] of (JSON.stringify(document) ?? '').matchAll(VERSION_REFERENCE)) {
      const key = `${name} ${prefix}`;
      if (older.size >= OLDER_VIEWS || older.has(key)) continue;
      const view = await this.olderView(name, `sha256:${prefix}`, ask);
      if (view) older.set(key, view);
    }
    return {
      view: (name, prefix) => (prefix === undefined ? current.get(name) : older.get(`${name} ${prefix}`)),
      names: () => current.keys(),
    };
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
    for (const row of rows) {
      if ('members' in row.resolved) sets.set(row.name, row.resolved);
      else views.set(row.name, this.keep(row.resolved));
    }
    // Sets pin versions of views that may not be the current ones any more.
    for (const { members } of sets.values())
      for (const { view, viewHash } of members) await this.olderView(view, viewHash);
    return { views, sets, ...this.streamsOf(views, streamRows) };
  }

  /** The same object for the same version, so that what is made of it is made once. */
  private keep(view: FeatureView): FeatureView {
    const key = `${view.name} ${view.hash}`;
    const kept = this.versions.get(key) ?? view;
    this.versions.set(key, kept);
    return kept;
  }

  private streamsOf(
    views: ReadonlyMap<string, FeatureView>,
    rows: readonly StreamRow[],
  ): Pick<Content, 'streams' | 'kept' | 'keptById'> {
    const streams = new Map<string, LoggedStream>();
    const kept = new Map<string, KeptStream>();
    const keptById = new Map<number, KeptStream>();
    for (const { id, name, view: owner, retention_class: retentionClass, definition: last } of rows) {
      const view = views.get(owner);
      // A version that does not have the stream any more takes it from nobody who still reads the one before.
      const definition = view?.streams.find((one) => one.name === name && one.of === undefined) ?? last;
      const stream = { id, retentionClass, definition };
      kept.set(name, stream);
      keptById.set(id, stream);
      if (!view) continue;
      if (!this.rules.has(definition)) this.rules.set(definition, this.parts.compiler.eventRules(owner, definition));
      const rules = this.rules.get(definition);
      streams.set(name, { ...stream, entity: view.entity, ...(rules === undefined ? {} : { rules }) });
    }
    return { streams, kept, keptById };
  }
}
