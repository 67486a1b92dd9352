import type { Migration } from '@sibyl/database';

/**
 * Where a rollback leads, for all who need to know: the state nearest before an event whose version may serve, and is another one. What
 * was archived or rejected since is passed over, or nobody could roll back past it. Each step is a look by primary key, and every look at the
 * registry asks for every alias: what lies more than a hundred states back is named by who wants it.
 */
export const rollbackTargetMigration: Migration = {
  id: '0009_rollback_target',
  schema: 'registry',
  sql: `
CREATE FUNCTION registry.rollback_target(event bigint) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
DECLARE
  present text;
  before registry.alias_event;
  next bigint;
BEGIN
  SELECT e.version, e.returns_to INTO present, next FROM registry.alias_event e WHERE e.id = event;
  FOR step IN 1..100 LOOP
    IF next IS NULL THEN
      RETURN NULL;
    END IF;
    SELECT * INTO before FROM registry.alias_event b WHERE b.id = next;
    IF before.version <> present AND EXISTS (SELECT FROM registry.model_version v WHERE v.model = before.model
      AND v.version = before.version AND v.status IN ('validated', 'approved') AND (v.report->>'passed')::boolean) THEN
      RETURN before.id;
    END IF;
    next := before.returns_to;
  END LOOP;
  RETURN NULL;
END $$;
`,
};
