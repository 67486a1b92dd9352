import type { ModelVersion, RegistrySnapshot } from '@sibyl/registry';
import { ServedVersion } from './served-version';
import { ServingTable, type ServedModel } from './serving-table';

interface SnapshotLog {
  warn(fields: object, message: string): void;
}

/** The table that a snapshot of the registry asks for, and what has to leave memory for it. */
export interface FollowedSnapshot {
  readonly table: ServingTable;
  readonly gone: ReadonlySet<ServedVersion>;
}

/** Makes the next table. Versions that stay are the same objects, so that a loaded model stays loaded. */
export function followSnapshot(before: ServingTable, snapshot: RegistrySnapshot, log: SnapshotLog): FollowedSnapshot {
  const gone = new Set([...before.models.values()].flatMap((model) => [...model.versions.values()]));
  const models = new Map<string, ServedModel>();
  for (const model of snapshot.models) {
    const versions = new Map<string, ServedVersion>();
    for (const facts of model.versions) {
      const served = keep(before, facts, log);
      if (!served) continue;
      gone.delete(served);
      if (!served.servable && served.loaded) gone.add(served);
      versions.set(facts.version, served);
    }
    const aliases = new Map<string, ServedVersion>();
    const previous = new Set<ServedVersion>();
    for (const { alias, version, previous: earlier } of model.aliases) {
      const served = versions.get(version);
      if (served) aliases.set(alias, served);
      const last = earlier === null ? undefined : versions.get(earlier);
      if (last) previous.add(last);
    }
    const latest = model.latest === undefined ? undefined : versions.get(model.latest);
    for (const version of model.warm) {
      const kept = versions.get(version);
      if (kept) previous.add(kept);
    }
    const revisions = new Map(model.aliases.map(({ alias, revision }) => [alias, revision]));
    models.set(model.name, { name: model.name, versions, aliases, revisions, previous, latest });
  }
  return { table: new ServingTable(models), gone };
}

/** The same object for the same bytes, once they are valid: until then nobody knows what their outputs really are. */
function keep(before: ServingTable, facts: ModelVersion, log: SnapshotLog): ServedVersion | undefined {
  const known = before.models.get(facts.model)?.versions.get(facts.version);
  if (known && known.facts.digest === facts.digest && known.facts.validatedAt === facts.validatedAt) {
    known.facts = facts;
    return known;
  }
  try {
    return new ServedVersion(facts);
  } catch (error) {
    log.warn(
      { model: facts.model, version: facts.version, err: error },
      'version cannot be served: its contract does not compile',
    );
    return undefined;
  }
}
