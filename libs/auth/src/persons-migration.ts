import type { Migration } from '@sibyl/database';
import { OPERATOR } from '@sibyl/kernel';

/** Whose each key is, by the chain of keys that issued each other: a fact that no change of a key touches. */
export const personsMigration: Migration = {
  id: '0002_persons',
  schema: 'auth',
  sql: `
ALTER TABLE auth.keys ADD COLUMN person text;

WITH RECURSIVE chain AS (
  SELECT id, '${OPERATOR}' AS person FROM auth.keys WHERE origin <> 'issued'
  UNION ALL
  SELECT k.id, CASE WHEN c.person = '${OPERATOR}' THEN k.id::text ELSE c.person END
  FROM auth.keys k JOIN chain c ON k.created_by = c.id::text WHERE k.origin = 'issued'
)
UPDATE auth.keys k SET person = c.person FROM chain c WHERE c.id = k.id;

UPDATE auth.keys SET person = id::text WHERE person IS NULL;
ALTER TABLE auth.keys ALTER COLUMN person SET NOT NULL;

CREATE FUNCTION auth.guard_person() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'a key keeps its person';
END $$;

CREATE TRIGGER guard_person BEFORE UPDATE ON auth.keys FOR EACH ROW
  WHEN (NEW.person IS DISTINCT FROM OLD.person OR NEW.created_by <> OLD.created_by OR NEW.origin <> OLD.origin)
  EXECUTE FUNCTION auth.guard_person();
`,
};
