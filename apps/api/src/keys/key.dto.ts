import { ROLES, type Role } from '@sibyl/auth';
import { ChoiceField, InstantField, NestedField, TextField, TextListField, WholeField } from '../http/fields';

const LIST = { most: 100, max: 128 };

class RateLimitBody {
  @WholeField({
    description: 'Requests allowed in the window; the burst is the same number.',
    example: 100,
    min: 1,
    max: 1_000_000,
  })
  requests: number;

  @WholeField({ description: 'Length of the window in seconds.', example: 60, min: 1, max: 86_400 })
  seconds: number;
}

class QuotaBody {
  @WholeField({ description: 'Requests allowed in the period.', example: 100_000, min: 1, max: 1_000_000_000_000 })
  requests: number;

  @ChoiceField({ description: 'Calendar period in UTC.', of: ['day', 'month'] })
  period: 'day' | 'month';
}

/** What a key may be restricted to; in a change `null` takes a restriction away. */
class KeyRestrictions {
  @TextField({ description: 'Who answers for the key.', example: 'risk team', max: 200, nullable: true })
  owner?: string | null;

  @TextListField({
    description: 'Globs of the models that predict and models:* are narrowed to.',
    example: ['fraud_*'],
    ...LIST,
    nullable: true,
  })
  models?: string[] | null;

  @InstantField({ description: 'When the key ends.', example: '2030-01-01T00:00:00Z', nullable: true })
  expires_at?: string | null;

  @NestedField({ description: 'Requests in a window.', nullable: true }, () => RateLimitBody)
  rate_limit?: RateLimitBody | null;

  @NestedField({ description: 'Requests in a calendar period.', nullable: true }, () => QuotaBody)
  quota?: QuotaBody | null;

  @TextListField({
    description: 'Networks that the key may be used from.',
    example: ['10.0.0.0/8', '::1'],
    ...LIST,
    nullable: true,
  })
  cidrs?: string[] | null;
}

export class IssueKeyBody extends KeyRestrictions {
  @TextField({ description: 'What the key is for.', example: 'fraud dashboard', max: 200 })
  name: string;

  @ChoiceField({
    description: 'A bundle of scopes; not together with `scopes`.',
    example: 'team',
    of: Object.keys(ROLES),
    optional: true,
  })
  role?: Role;

  @TextListField({
    description: 'Scopes, `predict:<model glob>` included; not together with `role`.',
    ...LIST,
    optional: true,
  })
  scopes?: string[];
}

export class ChangeKeyBody extends KeyRestrictions {
  @TextField({ description: 'What the key is for.', example: 'fraud dashboard', max: 200, optional: true })
  name?: string;

  @ChoiceField({
    description: 'A bundle of scopes; not together with `scopes`.',
    of: Object.keys(ROLES),
    optional: true,
  })
  role?: Role;

  @TextListField({
    description: 'Scopes; not together with `role`.',
    example: ['predict', 'models:read'],
    ...LIST,
    optional: true,
  })
  scopes?: string[];
}

export class KeyListQuery {
  @WholeField({ description: 'Keys on the page.', min: 1, max: 1000, fallback: 100, query: true, optional: true })
  limit?: number;

  @TextField({ description: '`next` of the page before.', max: 200, optional: true })
  cursor?: string;
}
