import type { Migration } from '@sibyl/database';

/** Of a version whose file was rewritten before it could run: what came of it. As immutable as the version itself. */
export const derivedMigration: Migration = {
  id: '0002_derived',
  schema: 'registry',
  sql: `
ALTER TABLE registry.model_version ADD COLUMN derived json;

CREATE FUNCTION registry.guard_derived() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.validated_at IS NOT NULL AND NEW.derived::text IS DISTINCT FROM OLD.derived::text THEN
    RAISE EXCEPTION 'a version that was validated is immutable';
  END IF;
  RETURN NEW;
END $$;

CREATE TRIGGER guard_derived BEFORE UPDATE ON registry.model_version
  FOR EACH ROW EXECUTE FUNCTION registry.guard_derived();
`,
};
