import type { EntityManager } from 'typeorm';
import type { ChangeRecord, RecordChange } from '@sibyl/audit';
import { lookupName, modelNotFound } from './names';

/** NOTIFY channel that every change of the registry is announced on; the payload is the model's name. */
export const REGISTRY_CHANNEL = 'sibyl_registry';

/** Ends a change: announces it on commit and writes its audit event, last, into the same transaction. */
export async function concludeChange(
  tx: EntityManager,
  model: string,
  record: RecordChange,
  change: ChangeRecord,
): Promise<void> {
  await announce(tx, model);
  await record(tx, change);
}

/** Tells listeners, once the transaction commits, that the model has changed. */
export async function announce(tx: EntityManager, model: string): Promise<void> {
  await tx.query('SELECT pg_notify($1, $2)', [REGISTRY_CHANNEL, model]);
}

/** Serializes the changes of one model until the transaction ends; false where there is no such model. */
export async function lockModel(tx: EntityManager, model: string): Promise<boolean> {
  const rows = await tx.query<{ name: string }[]>('SELECT name FROM registry.model WHERE name = $1 FOR UPDATE', [
    lookupName(model),
  ]);
  return rows.length > 0;
}

/** Locks the model for the rest of the transaction; model_not_found with near names where there is none. */
export async function requireModel(tx: EntityManager, model: string, find = lockModel): Promise<void> {
  if (await find(tx, model)) return;
  throw modelNotFound(model, await modelNames((sql, params) => tx.query(sql, params)));
}

/** One statement, in a transaction or not. */
export type Look = <T>(sql: string, params: unknown[]) => Promise<T[]>;

/** For near names. */
export async function modelNames(look: Look): Promise<string[]> {
  const rows = await look<{ name: string }>('SELECT name FROM registry.model ORDER BY name LIMIT 10000', []);
  return rows.map((row) => row.name);
}

/** Whether there is such a model; nothing keeps others from changing it. */
export async function isModel(tx: EntityManager, model: string): Promise<boolean> {
  const rows = await tx.query<{ name: string }[]>('SELECT name FROM registry.model WHERE name = $1', [
    lookupName(model),
  ]);
  return rows.length > 0;
}

/** What an event calls a version. */
export function versionResource(model: string, version: string): { type: string; id: string } {
  return { type: 'model_version', id: `${model}/${version}` };
}
