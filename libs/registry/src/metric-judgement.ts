import type { Database } from '@sibyl/database';
import type { FieldFault } from '@sibyl/kernel';
import type { Manifest } from './manifest';
import type { ModelPolicies } from './model-policies';
import { PRODUCTION } from './names';
import { metricFaults, type Metrics } from './policy-check';

/** What the policy in force says of a manifest's metrics. */
export interface MetricVerdict {
  readonly faults: readonly FieldFault[];
  /** Whether it had any rules. */
  readonly asked: boolean;
  readonly policyRevision: number;
}

/** Holds the metrics of versions to the rules of their model, and to the version that `production` points at. */
export class MetricJudgement {
  constructor(
    private readonly database: Database,
    private readonly policies: ModelPolicies,
  ) {}

  async of({ name, version, metrics }: Manifest): Promise<MetricVerdict> {
    const { policy, revision: policyRevision } = await this.policies.of(undefined, name);
    const asked = policy.metrics.length + policy.noWorseThanCurrent.length > 0;
    const [current] = asked ? await this.current(name, version) : [];
    const replaced = current && { version: current.version, metrics: current.metrics ?? {} };
    return { faults: metricFaults(policy, metrics, replaced), asked, policyRevision };
  }

  private current(
    model: string,
    version: string,
  ): Promise<{ readonly version: string; readonly metrics: Metrics | null }[]> {
    return this.database.query(
      `SELECT v.version, v.manifest->'metrics' AS metrics FROM registry.model_alias a
       JOIN registry.model_version v ON v.model = a.model AND v.version = a.version
       WHERE a.model = $1 AND a.alias = $2 AND a.version <> $3`,
      [model, PRODUCTION, version],
    );
  }
}
