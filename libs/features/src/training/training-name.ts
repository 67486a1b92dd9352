import { createHash } from 'node:crypto';

/**
 * A training set, or what is needed until there is one, with the mark of the process that needs it. Each names its caller; those of
 * before callers had shares do not.
 */
const NAME =
  /^[0-9a-f-]{36}(?:\.(?<caller>[0-9a-f]{16}))?\.(?:(?:ndjson|csv|parquet)|(?:rows|ndjson|csv|parquet)\.(?<owner>[0-9a-f]{8}-\d+)(?:\.part)?)$/;

export interface TrainingName {
  readonly caller: string | undefined;
  /** Absent: it is finished. */
  readonly owner: string | undefined;
}

/** Undefined: of nothing that lies here. */
export function readName(name: string): TrainingName | undefined {
  const groups = NAME.exec(name)?.groups;
  return groups && { caller: groups['caller'], owner: groups['owner'] };
}

/** A caller in names. */
export function callerMark(caller: string): string {
  return createHash('sha256').update(caller).digest('hex').slice(0, 16);
}

/** The name of what is made for a caller. */
export function nameOf(id: string, caller: string, kind: string): string {
  return `${id}.${callerMark(caller)}.${kind}`;
}
