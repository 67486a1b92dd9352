import { ID, INSTANT, listOf, object, orNull, text, whole, type Schemas } from '../docs/schema';

const RIGHTS = {
  'role?': text('Bundle of scopes that the key was issued with.'),
  scopes: listOf(text()),
  'models?': listOf(text('Glob of model names')),
  expires_at: orNull(INSTANT),
  rate_limit: orNull(object({ requests: whole(), seconds: whole() })),
  quota: orNull(object({ requests: whole(), period: text(undefined, { enum: ['day', 'month'] }) })),
  cidrs: orNull(listOf(text())),
};

const KEY = {
  prefix: text('The `<id>` inside the key; logs may show it.'),
  name: text(),
  owner: orNull(text()),
  ...RIGHTS,
  created_at: INSTANT,
  created_by: text('Id of the key that issued it, or the name of a part of the server.'),
  'last_used_at?': INSTANT,
  'revoked_at?': INSTANT,
};

export const KEY_SCHEMAS: Schemas = {
  Key: object({ id: ID, ...KEY }),
  IssuedKey: object({ id: ID, key: text('The key itself, this once.'), ...KEY }),
  KeyList: object({ items: listOf({ $ref: '#/components/schemas/Key' }), 'next?': text('Cursor of the next page') }),
  RevokedKey: object({ id: ID, revoked_at: INSTANT }),
  Whoami: object({ id: ID, prefix: text(), name: text(), owner: orNull(text()), ...RIGHTS }),
};
