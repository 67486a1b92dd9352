import { AUDIT_SCHEMAS } from '../audit/audit.schemas';
import { FEAST_SCHEMAS } from '../features/feast.schemas';
import { FEATURE_SCHEMAS } from '../features/feature.schemas';
import { LINEAGE_SCHEMAS } from '../features/lineage.schemas';
import { READ_SCHEMAS } from '../features/read.schemas';
import { HEALTH_SCHEMAS } from '../health/health.schemas';
import { PROBLEM_SCHEMAS } from '../http/problem.schema';
import { KEY_SCHEMAS } from '../keys/key.schemas';
import { META_SCHEMAS } from '../meta/meta.schemas';
import { DIFF_SCHEMAS } from '../models/diff.schemas';
import { MODEL_SCHEMAS } from '../models/model.schemas';
import { POLICY_SCHEMAS } from '../models/policy.schemas';
import { OPERATION_SCHEMAS } from '../operations/operation.schemas';
import type { Schemas } from './schema';

/** What answers look like, of all resources. */
export const ALL_SCHEMAS: Schemas = {
  ...PROBLEM_SCHEMAS,
  ...KEY_SCHEMAS,
  ...MODEL_SCHEMAS,
  ...POLICY_SCHEMAS,
  ...DIFF_SCHEMAS,
  ...FEATURE_SCHEMAS,
  ...LINEAGE_SCHEMAS,
  ...FEAST_SCHEMAS,
  ...READ_SCHEMAS,
  ...AUDIT_SCHEMAS,
  ...OPERATION_SCHEMAS,
  ...HEALTH_SCHEMAS,
  ...META_SCHEMAS,
};
