import type { RecordChange } from '@sibyl/audit';
import type { Database } from '@sibyl/database';
import { DomainError, systemActor } from '@sibyl/kernel';
import type { ModelPolicies } from './model-policies';
import type { VersionLifecycle } from './version-lifecycle';

/** Archived after one promotion; more go after the next. */
const AT_ONCE = 100;

/** Archives what the policy of a model no longer keeps. */
export class VersionRetirement {
  constructor(
    private readonly database: Database,
    private readonly policies: ModelPolicies,
    private readonly lifecycle: VersionLifecycle,
  ) {}

  /**
   * Archives the versions behind the newest ones that the policy keeps, each with its own event, and never one that an alias
   * points at, that a rollback would lead to, or that the policy keeps warm.
   */
  async retire(model: string, record: RecordChange): Promise<readonly string[]> {
    const { policy, revision } = await this.policies.of(undefined, model);
    if (policy.autoArchive === 0) return [];
    const rows = await this.database.query<{ readonly version: string }>(
      `SELECT v.version FROM (SELECT version, arrival, row_number() OVER (ORDER BY arrival DESC) AS place
         FROM registry.model_version WHERE model = $1 AND status IN ('validated', 'approved')) v
       WHERE v.place > $2
         AND NOT EXISTS (SELECT FROM registry.model_alias a WHERE a.model = $1 AND a.version = v.version)
         AND NOT EXISTS (SELECT FROM registry.model_alias a JOIN registry.alias_event e ON e.id = a.event
           JOIN registry.alias_event b ON b.id = registry.rollback_target(e.id) WHERE a.model = $1 AND b.version = v.version)
         AND v.version NOT IN (SELECT e.from_version FROM registry.alias_event e WHERE e.model = $1 AND e.from_version IS NOT NULL
           GROUP BY e.from_version ORDER BY max(e.id) DESC LIMIT $3)
       ORDER BY v.arrival LIMIT ${AT_ONCE}`,
      [model, policy.autoArchive, policy.keepWarm],
    );
    const reason = `the policy of revision ${revision} keeps the newest ${policy.autoArchive} versions`;
    const archived: string[] = [];
    for (const { version } of rows) {
      try {
        await this.lifecycle.archive(systemActor('policy'), { model, version, reason }, record);
        archived.push(version);
      } catch (error) {
        // An alias came to point at it meanwhile.
        if (!(error instanceof DomainError && error.code === 'in_use')) throw error;
      }
    }
    return archived;
  }
}
