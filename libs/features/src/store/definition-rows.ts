import type { Actor } from '@sibyl/kernel';
import type { EntityManager } from 'typeorm';
import type { FeatureSet, FeatureView } from '../definitions/feature-view';
import type { DefinitionKind } from './definition-compiler';

/** One published version. */
export interface DefinitionRow {
  readonly kind: DefinitionKind;
  readonly name: string;
  readonly hash: string;
  /** As it was published. */
  readonly document: unknown;
  /** As it was read when it was published. */
  readonly resolved: FeatureView | FeatureSet;
  readonly publishedAt: string;
  readonly publishedBy: Actor;
}

/** A version, and what its name means now. */
export interface NamedDefinition extends DefinitionRow {
  readonly current: boolean;
  readonly revision: number;
}

/** What a name has meant; without a hash: nothing. */
export interface Publication {
  readonly revision: number;
  readonly hash: string | undefined;
  readonly at: string;
  readonly actor: Actor;
}

interface RawDefinition {
  readonly kind: DefinitionKind;
  readonly name: string;
  readonly hash: string;
  readonly document: unknown;
  readonly resolved: FeatureView | FeatureSet;
  readonly published_at: Date;
  readonly published_by: Actor;
  readonly current: boolean;
  readonly revision: number;
}

export type Ask = <T>(sql: string, params: readonly unknown[]) => Promise<T[]>;

export function asking(tx: EntityManager): Ask {
  return <T>(sql: string, params: readonly unknown[]) => tx.query<T[]>(sql, [...params]);
}

const HEAD = `SELECT DISTINCT ON (kind, name) kind, name, revision, hash FROM features.publication`;

const SELECT = `
SELECT d.kind, d.name, d.hash, d.document, d.resolved, d.published_at, d.published_by, p.hash IS NOT DISTINCT FROM d.hash AS current, p.revision
FROM features.definition d JOIN (${HEAD} ORDER BY kind, name, revision DESC) p USING (kind, name)`;

/** What every name means now. */
export async function currentDefinitions(ask: Ask): Promise<NamedDefinition[]> {
  const rows = await ask<RawDefinition>(`${SELECT} WHERE p.hash = d.hash ORDER BY d.kind, d.name`, []);
  return rows.map(definitionOf);
}

/** The versions of a name whose hash begins so; all of them, for an empty beginning. The newest first. */
export async function versionsOf(
  ask: Ask,
  kind: DefinitionKind,
  name: string,
  prefix = '',
): Promise<NamedDefinition[]> {
  const rows = await ask<RawDefinition>(
    `${SELECT} WHERE d.kind = $1 AND d.name = $2 AND starts_with(d.hash, $3) ORDER BY d.published_at DESC LIMIT 1000`,
    [kind, name, `sha256:${prefix}`],
  );
  return rows.map(definitionOf);
}

/** Whose values each view has, by its newest version. */
export function entitiesOfViews(
  ask: Ask,
): Promise<{ readonly name: string; readonly entity: FeatureView['entity'] }[]> {
  return ask(
    `SELECT DISTINCT ON (name) name, resolved -> 'entity' AS entity FROM features.definition WHERE kind = 'view'
     ORDER BY name, published_at DESC`,
    [],
  );
}

export async function historyOf(ask: Ask, kind: DefinitionKind, name: string): Promise<Publication[]> {
  const rows = await ask<{ revision: number; hash: string | null; at: Date; actor: Actor }>(
    `SELECT revision, hash, at, actor FROM features.publication WHERE kind = $1 AND name = $2
     ORDER BY revision DESC LIMIT 1000`,
    [kind, name],
  );
  return rows.map(({ revision, hash, at, actor }) => ({
    revision,
    hash: hash ?? undefined,
    at: at.toISOString(),
    actor,
  }));
}

/** Keeps a version, unless it is there. */
export async function addDefinition(tx: EntityManager, row: DefinitionRow): Promise<void> {
  await tx.query(
    `INSERT INTO features.definition (kind, name, hash, document, resolved, published_at, published_by)
     VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING`,
    [
      row.kind,
      row.name,
      row.hash,
      JSON.stringify(row.document),
      JSON.stringify(row.resolved),
      row.publishedAt,
      JSON.stringify(row.publishedBy),
    ],
  );
}

export interface NewPublication {
  readonly kind: DefinitionKind;
  readonly name: string;
  readonly hash: string | undefined;
  readonly at: string;
  readonly actor: Actor;
}

/** What the name means from now on. */
export async function addPublication(
  tx: EntityManager,
  { kind, name, hash, at, actor }: NewPublication,
): Promise<void> {
  await tx.query(
    `INSERT INTO features.publication (kind, name, revision, hash, at, actor)
     SELECT $1, $2, coalesce(max(revision), 0) + 1, $3, $4, $5 FROM features.publication WHERE kind = $1 AND name = $2`,
    [kind, name, hash ?? null, at, JSON.stringify(actor)],
  );
}

function definitionOf({ published_at, published_by, ...row }: RawDefinition): NamedDefinition {
  return { ...row, publishedAt: published_at.toISOString(), publishedBy: published_by };
}
