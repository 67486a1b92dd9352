import type { Migration } from '@sibyl/database';

/** Which versions have a file of some content, without reading the lists of all of them. */
export const fileDigestsMigration: Migration = {
  id: '0010_file_digests',
  schema: 'registry',
  sql: `
CREATE FUNCTION registry.file_digests(files json) RETURNS text[] LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
  SELECT array_agg(f->>'sha256') FROM json_array_elements(files) f
$$;

CREATE INDEX model_version_file_digests ON registry.model_version USING gin (registry.file_digests(files));
`,
};
