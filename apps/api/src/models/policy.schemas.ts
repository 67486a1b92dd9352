import { INSTANT, listOf, number, object, ref, text, whole, type Schemas } from '../docs/schema';

/** What a policy says, as a PUT takes it. */
const MEMBERS = {
  metrics: listOf(text('Such as `accuracy >= 0.7`')),
  no_worse_than_current: listOf(
    object({ metric: text(), better: text(undefined, { enum: ['higher', 'lower'] }), margin: number() }),
  ),
  approvals: whole('Persons who must approve a version before an alias may point at it'),
  protected_aliases: listOf(text()),
  promoters: listOf(text('`key:<id>`, `owner:<owner>` or `role:<role>`')),
  keep_warm: whole(),
  auto_archive: whole(),
  signature: text(undefined, { enum: ['none', 'verify', 'require'] }),
  signers: listOf(text('Name or fingerprint of a trusted key')),
  'sync?': object({
    name: text(),
    'registry_uri?': text(),
    'stages?': listOf(text()),
    'alias?': text(),
    fallback: listOf(text()),
    ttl_seconds: whole(),
    'promote?': text('The alias here that follows'),
  }),
};

const APPROVALS = listOf(object({ approved_by: ref('Actor'), approved_at: INSTANT, reason: text() }));

export const POLICY_SCHEMAS: Schemas = {
  ModelPolicy: object({
    model: text(),
    revision: whole('Rises with each change; 0 where nobody has set a policy, and all members have their defaults'),
    etag: text('For If-Match, quotes included'),
    ...MEMBERS,
    'sync_status?': object(
      {
        checked_at: INSTANT,
        next_at: INSTANT,
        failures: whole('Times in a row that MLflow could not be asked'),
        'problem?': text('Why it could not be asked the last time'),
        'registry_uri?': text('The server whose version was dealt with last'),
        'registry_version?': text('That version there'),
        'version?': text('What it became here'),
        'detail?': text('Why it became nothing, or was not promoted'),
      },
      {
        description:
          'How far the model has come with what `sync` names; absent until it was looked at, and where nothing is followed',
      },
    ),
    'set_at?': INSTANT,
    'set_by?': ref('Actor'),
    'reason?': text(),
    'set_approvals?': APPROVALS,
    'proposed?': object(
      {
        etag: text('For If-Match of its approval, quotes included'),
        policy: object(MEMBERS),
        weakens: listOf(text('A member that asks for less than the policy in force')),
        proposed_at: INSTANT,
        proposed_by: ref('Actor'),
        reason: text(),
        approvals: APPROVALS,
      },
      { description: 'A weaker policy that waits for as many approvals as the one in force asks for' },
    ),
  }),
};
