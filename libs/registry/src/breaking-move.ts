import type { EntityManager } from 'typeorm';
import { DomainError, type FieldFault } from '@sibyl/kernel';
import { breakingChanges } from './breaking-changes';
import { callerContract } from './caller-contract';
import { VERSION_COLUMNS, versionOf, type VersionRow } from './version-rows';

/** From what to what an alias shall go, and whether its mover knows that callers break. */
export interface AliasStep {
  readonly model: string;
  readonly from: string;
  readonly to: string;
  readonly allowBreaking: boolean;
}

/** Refuses a move that would break the callers of an alias; what its mover allowed is returned, to be kept with the move. */
export async function checkCallers(tx: EntityManager, step: AliasStep): Promise<readonly FieldFault[] | undefined> {
  const rows = await tx.query<VersionRow[]>(
    `SELECT ${VERSION_COLUMNS} FROM registry.model_version v WHERE v.model = $1 AND v.version IN ($2, $3)`,
    [step.model, step.from, step.to],
  );
  const [from, to] = [step.from, step.to].map((version) => rows.find((row) => row.version === version));
  if (!from || !to) return undefined;
  const faults = breakingChanges(callerContract(versionOf(from)), callerContract(versionOf(to)));
  if (faults.length === 0) return undefined;
  if (step.allowBreaking) return faults;
  throw new DomainError(
    'breaking_change',
    `Version ${step.to} of model '${step.model}' would break callers of ${step.from}; "allow_breaking": true promotes it all the same.`,
    { faults },
  );
}
