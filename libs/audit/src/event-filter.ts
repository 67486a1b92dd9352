import { hash } from 'node:crypto';
import type { Outcome } from './audit-event';

/** Which events; members that are absent do not restrict. */
export interface EventFilter {
  /** Recorded at or after. */
  readonly fromMs?: number | undefined;
  /** Recorded before. */
  readonly toMs?: number | undefined;
  /** Id or name. */
  readonly actor?: string | undefined;
  readonly keyId?: string | undefined;
  readonly action?: string | undefined;
  readonly outcome?: Outcome | undefined;
  readonly model?: string | undefined;
  readonly version?: string | undefined;
  readonly status?: number | undefined;
  readonly ip?: string | undefined;
  readonly requestId?: string | undefined;
  readonly predictionId?: string | undefined;
}

/** Conditions of a WHERE clause and the values of their parameters. */
export interface SqlConditions {
  readonly conditions: string[];
  readonly values: unknown[];
}

const TESTS: Readonly<Record<keyof EventFilter, (parameter: string) => string>> = {
  fromMs: (p) => `recorded_at >= to_timestamp(${p}::double precision / 1000)`,
  toMs: (p) => `recorded_at < to_timestamp(${p}::double precision / 1000)`,
  actor: (p) => `(actor_id = ${p} OR actor_name = ${p})`,
  keyId: (p) => `key_id = ${p}`,
  action: (p) => `action = ${p}`,
  outcome: (p) => `outcome = ${p}`,
  model: (p) => `model_name = ${p}`,
  version: (p) => `model_version = ${p}`,
  status: (p) => `status = ${p}::integer`,
  ip: (p) => `ip = ${p}`,
  requestId: (p) => `request_id = ${p}`,
  predictionId: (p) => `prediction_id = ${p}`,
};

export function filterConditions(filter: EventFilter): SqlConditions {
  const conditions: string[] = [];
  const values: unknown[] = [];
  for (const [member, value] of givenMembers(filter)) {
    values.push(typeof value === 'string' ? value.replaceAll('\0', '\ufffd') : value);
    conditions.push(TESTS[member](`$${values.length}`));
  }
  return { conditions, values };
}

/** Short digest of a filter: a cursor of one search must not be used to go on with another. */
export function filterDigest(filter: EventFilter): string {
  return hash('sha256', JSON.stringify(givenMembers(filter)), 'hex').slice(0, 16);
}

function givenMembers(filter: EventFilter): [keyof EventFilter, string | number][] {
  const members: [keyof EventFilter, string | number][] = [];
  for (const name of Object.keys(TESTS) as (keyof EventFilter)[]) {
    const value = filter[name];
    if (value !== undefined) members.push([name, value]);
  }
  return members;
}
