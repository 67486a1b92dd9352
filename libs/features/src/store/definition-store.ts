import type { ChangeRecord, RecordChange } from '@sibyl/audit';
import type { Database } from '@sibyl/database';
import { DomainError, invariant, nearestWords, systemActor, timestamp, type Actor, type Clock } from '@sibyl/kernel';
import type { EntityManager } from 'typeorm';
import type { DefinitionDiff } from '../definitions/definition-diff';
import type { FeatureSet, FeatureView, SetMember } from '../definitions/feature-view';
import { ChangeQueue } from './change-queue';
import type { DefinitionCompiler, DefinitionKind, LineageDiff, ViewSummary } from './definition-compiler';
import {
  addDefinition,
  addPublication,
  asking,
  currentDefinitions,
  historyOf,
  versionsOf,
  type Ask,
  type NamedDefinition,
  type Publication,
} from './definition-rows';
import { FEATURES_CHANNEL, type DefinitionSnapshot } from './definition-snapshot';
import {
  allStreams,
  freeStream,
  keepStreams,
  knownStreams,
  retentionChange,
  type LoweredRetention,
  type StreamRow,
} from './stream-rows';

/** What a publication came to, or would come to. */
export interface Published {
  readonly kind: DefinitionKind;
  readonly name: string;
  readonly hash: string;
  /** The version before it; absent: the name is new. */
  readonly previous?: string;
  /** The same as is current already: nothing was done. */
  readonly unchanged: boolean;
  /** From the version before it. */
  readonly diff?: DefinitionDiff;
  /** From the version before it, or from nothing. */
  readonly lineage: LineageDiff;
  /** Streams that lose events by it. */
  readonly lowered: readonly LoweredRetention[];
  readonly summary?: ViewSummary;
  readonly members?: readonly SetMember[];
}

/** A version with everything that is known of it. */
export interface FoundDefinition extends NamedDefinition {
  readonly summary?: ViewSummary;
  readonly members?: readonly SetMember[];
  readonly history: readonly Publication[];
}

export interface StoreParts {
  readonly database: Database;
  readonly clock: Clock;
  readonly compiler: DefinitionCompiler;
  readonly snapshot: DefinitionSnapshot;
  /** The sets that versions of models in service name, told by those who know models. */
  readonly setsInService: (tx: EntityManager) => Promise<readonly SetInService[]>;
}

/** `set`: as the manifest of the version names it, `name` or `name@` and the beginning of a hash. */
export interface SetInService {
  readonly set: string;
  readonly model: string;
  readonly version: string;
}

export interface PublishRequest {
  readonly kind: DefinitionKind;
  readonly name: string;
  readonly document: unknown;
}

const REFERENCE = /^([a-z][a-z0-9_]{0,62})(?:@(?:sha256:)?([0-9a-f]{12,64}))?$/;
const NAMED = 5;

/** Feature views and sets as they were published: versions never change, a name means the last one. */
export class DefinitionStore {
  private readonly ask: Ask = (sql, params) => this.parts.database.query(sql, params);
  private readonly changes: ChangeQueue;

  constructor(private readonly parts: StoreParts) {
    this.changes = new ChangeQueue(parts.database, parts.clock);
  }

  /** What publishing would come to; writes nothing. Throws invalid_definition. */
  async preview(asked: PublishRequest): Promise<Published> {
    const undo = new Error('a dry run');
    let found: Published | undefined;
    // What only the database can refuse shows in a transaction that is given up.
    const trial = this.changes.run(async (tx) => {
      found = await this.write(tx, systemActor('dry-run'), asked);
      throw undo;
    });
    await trial.catch((error: unknown) => {
      if (error !== undo) throw error;
    });
    invariant(found, 'a trial that was given up came to its end');
    return found;
  }

  /** Makes the document the current version of the name. The same as before changes nothing. */
  async publish(actor: Actor, asked: PublishRequest, record: RecordChange): Promise<Published> {
    const published = await this.changes.run(async (tx) => {
      const found = await this.write(tx, actor, asked);
      const { kind, name, hash, previous, unchanged, diff, lowered } = found;
      const from = previous === undefined ? {} : { previous, breaking: diff?.breaking === true };
      const changes = { hash, ...from, ...(unchanged && { unchanged }), ...retentionChange(lowered) };
      await this.conclude(tx, record, { action: 'feature.publish', kind, name, changes });
      return found;
    });
    await this.changed();
    return published;
  }

  /** `name`, or `name@` and the first hexadecimal digits of a hash. */
  async find(kind: DefinitionKind, reference: string): Promise<FoundDefinition> {
    const [, name, prefix] = REFERENCE.exec(reference) ?? [];
    const versions = name === undefined ? [] : await versionsOf(this.ask, kind, name, prefix);
    const found = prefix === undefined ? versions.find(({ current }) => current) : versions[0];
    if (!found || name === undefined) throw await this.notFound(kind, reference);
    if (prefix !== undefined && versions.length > 1)
      throw new DomainError('invalid_parameter', `More than one version of '${name}' begins so; give more digits.`);
    const history = await historyOf(this.ask, kind, name);
    return { ...found, ...this.contentOf(found.resolved), history };
  }

  /** What every name of the kind means now. */
  async list(kind: DefinitionKind): Promise<readonly NamedDefinition[]> {
    return (await currentDefinitions(this.ask)).filter((one) => one.kind === kind);
  }

  /** The name means nothing any more. What was published stays known by its hash. Throws in_use. */
  async delete(actor: Actor, kind: DefinitionKind, name: string, record: RecordChange): Promise<Publication> {
    const deleted = await this.changes.run(async (tx) => {
      const current = await this.currentOf(asking(tx), kind, name);
      if (!current) throw await this.notFound(kind, name, asking(tx));
      await this.refuseInUse(tx, kind, name);
      const at = timestamp(this.parts.clock.now());
      await addPublication(tx, { kind, name, hash: undefined, at, actor });
      await this.conclude(tx, record, { action: 'feature.delete', kind, name, changes: { hash: current.hash } });
      return { revision: current.revision + 1, hash: undefined, at, actor };
    });
    await this.changed();
    return deleted;
  }

  private async write(tx: EntityManager, actor: Actor, { kind, name, document }: PublishRequest): Promise<Published> {
    const { compiler, clock } = this.parts;
    const resolved = await this.read(tx, kind, document);
    refuseOtherName(kind, name, resolved.name);
    const current = await this.currentOf(asking(tx), kind, name);
    const { hash } = resolved;
    const unchanged = current?.hash === hash;
    let lowered: Published['lowered'] = [];
    if (!unchanged) {
      const at = timestamp(clock.now());
      await addDefinition(tx, { kind, name, hash, document, resolved, publishedAt: at, publishedBy: actor });
      await addPublication(tx, { kind, name, hash, at, actor });
      if (!('members' in resolved)) lowered = await keepStreams(tx, resolved, at);
    }
    const before = current ? { previous: current.hash, diff: compiler.diff(current.resolved, resolved) } : {};
    const lineage = compiler.lineage(current?.resolved, resolved);
    return { kind, name, hash, unchanged, ...before, lineage, lowered, ...this.contentOf(resolved) };
  }

  /** Reads the document against what is published now: nobody else changes that before the transaction ends. */
  private async read(tx: EntityManager, kind: DefinitionKind, document: unknown): Promise<FeatureView | FeatureSet> {
    const { compiler, snapshot } = this.parts;
    if (kind === 'view') return this.readView(tx, document);
    return compiler.set(document, await snapshot.viewsNamedIn(document, asking(tx)));
  }

  /** A stream that has no event need not stay what it was; unless somebody reads it so. */
  private async readView(tx: EntityManager, document: unknown): Promise<FeatureView> {
    const { compiler } = this.parts;
    const rows = await allStreams(asking(tx));
    const read = async (streams: readonly StreamRow[]): Promise<FeatureView> =>
      compiler.view(document, await knownStreams(asking(tx), streams));
    try {
      return await read(rows);
    } catch (error) {
      if (!(error instanceof DomainError)) throw error;
      const free = new Set<StreamRow>();
      for (const row of await this.changeable(tx, document, rows)) if (await freeStream(tx, row)) free.add(row);
      if (free.size === 0) throw error;
      const view = await read(rows.filter((row) => !free.has(row)));
      for (const owner of new Set([...free].map((row) => row.view))) await this.refuseInUse(tx, 'view', owner);
      return view;
    }
  }

  /** Streams that a document defines, of its own view or of one that is no more. */
  private async changeable(tx: EntityManager, document: unknown, rows: readonly StreamRow[]): Promise<StreamRow[]> {
    const { name, streams } = (document ?? {}) as { readonly name?: unknown; readonly streams?: unknown };
    const defined = Array.isArray(streams)
      ? streams.filter((one: { of?: unknown } | null) => one?.of === undefined)
      : [];
    const names = new Set(defined.map((one: { name?: unknown } | null) => one?.name));
    const current = new Set((await currentDefinitions(asking(tx))).map((one) => (one.kind === 'view' ? one.name : '')));
    return rows.filter((row) => names.has(row.name) && (row.view === name || !current.has(row.view)));
  }

  private contentOf(resolved: FeatureView | FeatureSet): Pick<Published, 'summary' | 'members'> {
    return 'members' in resolved ? { members: resolved.members } : { summary: this.parts.compiler.summary(resolved) };
  }

  private async currentOf(ask: Ask, kind: DefinitionKind, name: string): Promise<NamedDefinition | undefined> {
    return (await versionsOf(ask, kind, name)).find(({ current }) => current);
  }

  private async refuseInUse(tx: EntityManager, kind: DefinitionKind, name: string): Promise<void> {
    const served = await this.parts.setsInService(tx);
    const users =
      kind === 'set'
        ? served.filter(({ set }) => set.split('@')[0] === name).map(modelText)
        : [...(await usersOfView(tx, name)), ...(await modelsOfView(tx, name, served))];
    if (users.length === 0) return;
    const more = users.length > NAMED ? ` and ${users.length - NAMED} more` : '';
    throw new DomainError('in_use', `The ${kind} '${name}' is needed by ${users.slice(0, NAMED).join(', ')}${more}.`);
  }

  private async conclude(
    tx: EntityManager,
    record: RecordChange,
    { kind, name, ...change }: Pick<Published, 'kind' | 'name'> & Pick<ChangeRecord, 'action' | 'changes'>,
  ): Promise<void> {
    await tx.query('SELECT pg_notify($1, $2)', [FEATURES_CHANNEL, name]);
    await record(tx, { ...change, resource: { type: `feature_${kind}`, id: name } });
  }

  private async changed(): Promise<void> {
    await this.parts.snapshot.refresh();
  }

  private async notFound(kind: DefinitionKind, reference: string, ask = this.ask): Promise<DomainError> {
    const names = (await currentDefinitions(ask)).filter((one) => one.kind === kind).map(({ name }) => name);
    const near = nearestWords(reference.split('@')[0] ?? '', names);
    const hint = near.length === 0 ? '' : ` Did you mean ${near.map((one) => `'${one}'`).join(' or ')}?`;
    return new DomainError(
      `feature_${kind}_not_found`,
      `There is no feature ${kind} '${reference.slice(0, 128)}'.${hint}`,
    );
  }
}

/** Sets, and views that use its streams, of those that are current. */
async function usersOfView(tx: EntityManager, name: string): Promise<string[]> {
  const current = await currentDefinitions(asking(tx));
  const needs = ({ resolved }: NamedDefinition): boolean =>
    'members' in resolved
      ? resolved.members.some(({ view }) => view === name)
      : resolved.streams.some(({ of }) => of === name);
  return current
    .filter((one) => one.name !== name || one.kind === 'set')
    .filter(needs)
    .map((one) => `${one.kind} '${one.name}'`);
}

/** Models in service that name an older version of a set, which needs the view. Current versions were seen before. */
async function modelsOfView(tx: EntityManager, name: string, served: readonly SetInService[]): Promise<string[]> {
  const users: string[] = [];
  for (const one of served) {
    const [set = '', prefix] = one.set.split('@');
    if (prefix === undefined) continue;
    const versions = await versionsOf(asking(tx), 'set', set, prefix.replace('sha256:', ''));
    const needs = versions.some(
      ({ resolved }) => 'members' in resolved && resolved.members.some(({ view }) => view === name),
    );
    if (needs) users.push(modelText(one));
  }
  return users;
}

function modelText({ model, version }: SetInService): string {
  return `version ${version} of model '${model}'`;
}

function refuseOtherName(kind: DefinitionKind, name: string, said: string): void {
  if (name === said) return;
  throw new DomainError(
    'invalid_definition',
    `The path names the ${kind} '${name.slice(0, 64)}', the document '${said}'.`,
    {
      faults: [{ pointer: '/name', expected: name.slice(0, 64), received: said }],
    },
  );
}
