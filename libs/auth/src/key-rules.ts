import { DomainError, type FieldFault } from '@sibyl/kernel';
import type { ApiKey, KeyDraft, KeyPatch, KeyRights, Quota } from './api-key';
import { QUOTA_PERIODS } from './api-key';
import type { AuthOptions } from './auth-options';
import { isGlob } from './glob';
import { isCidr } from './networks';
import type { RateLimit } from './rate-limiter';
import { isGrantable, isRole, ROLES, SCOPES, scopesOfRole } from './scopes';

/** Everything of a key that may be chosen, after the rules have passed it: role or scopes, exactly one. */
export interface KeySettings extends KeyRights {
  readonly name: string;
  readonly owner?: string;
  readonly role?: string;
}

/** RFC 3339 has four digits for the year. */
const YEAR_10000_MS = Date.UTC(10_000, 0);

/** The settings that a draft asks for, or all of its faults at once. Pointers are those of the request's JSON. */
export function settingsOfDraft(draft: KeyDraft, options: AuthOptions, nowMs: number): KeySettings {
  const faults = faultsOf(draft, options, nowMs);
  if (draft.role === undefined && draft.scopes === undefined) {
    faults.push({ pointer: '/role', expected: '`role` or `scopes`', received: 'neither' });
  }
  return refuseOrBuild(faults, draft);
}

/** The settings of a key after a patch; what the patch does not name is taken over unchecked, as it was. */
export function settingsOfPatch(key: ApiKey, patch: KeyPatch, options: AuthOptions, nowMs: number): KeySettings {
  const faults = faultsOf(patch, options, nowMs);
  const grant = patch.role !== undefined || patch.scopes !== undefined ? patch : grantOf(key);
  return refuseOrBuild(faults, {
    name: patch.name ?? key.name,
    owner: chosen(patch.owner, key.owner),
    role: grant.role,
    scopes: grant.scopes,
    models: chosen(patch.models, key.models),
    cidrs: chosen(patch.cidrs, key.cidrs),
    expiresAtMs: chosen(patch.expiresAtMs, key.expiresAtMs),
    rateLimit: chosen(patch.rateLimit, key.rateLimit),
    quota: chosen(patch.quota, key.quota),
  });
}

interface Choice extends Omit<KeyDraft, 'role'> {
  readonly role?: string | undefined;
}

function refuseOrBuild(faults: readonly FieldFault[], choice: Choice): KeySettings {
  if (faults.length > 0) {
    throw new DomainError('invalid_parameter', 'The key cannot be like this; `errors` says why.', { faults });
  }
  const { name, owner, role, models, cidrs, expiresAtMs, rateLimit, quota } = choice;
  return {
    name,
    ...(owner === undefined ? {} : { owner }),
    ...(role === undefined ? {} : { role }),
    scopes: role === undefined ? [...new Set(choice.scopes)] : scopesOfRole(role),
    ...(models === undefined ? {} : { models: [...new Set(models)] }),
    ...(cidrs === undefined ? {} : { cidrs: [...new Set(cidrs)] }),
    ...(expiresAtMs === undefined ? {} : { expiresAtMs }),
    ...(rateLimit === undefined ? {} : { rateLimit: { requests: rateLimit.requests, seconds: rateLimit.seconds } }),
    ...(quota === undefined ? {} : { quota: { requests: quota.requests, period: quota.period } }),
  };
}

function grantOf(key: ApiKey): { role?: string; scopes?: readonly string[] } {
  return key.role === undefined ? { scopes: key.scopes } : { role: key.role };
}

function chosen<T>(wanted: T | null | undefined, present: T | undefined): T | undefined {
  return wanted === undefined ? present : (wanted ?? undefined);
}

function faultsOf(wanted: KeyPatch, options: AuthOptions, nowMs: number): FieldFault[] {
  return [
    ...textFaults('/name', wanted.name, options.nameLength),
    ...textFaults('/owner', wanted.owner, options.nameLength),
    ...roleFaults(wanted),
    ...listFaults('/scopes', wanted.scopes, options, {
      accepts: isGrantable,
      expected: `one of ${SCOPES.join(', ')} or predict:<model glob>`,
      hint: 'A key without scopes can do nothing.',
    }),
    ...listFaults('/models', wanted.models, options, {
      accepts: isGlob,
      expected: 'a model name in which * and ? may stand for any characters and for one',
      hint: 'Leave `models` out to allow all models.',
    }),
    ...listFaults('/cidrs', wanted.cidrs, options, {
      accepts: isCidr,
      expected: 'a network such as 10.0.0.0/8 or 2001:db8::/32',
      hint: 'Leave `cidrs` out to allow all addresses.',
    }),
    ...expiryFaults(wanted.expiresAtMs, nowMs),
    ...rateFaults(wanted.rateLimit, options),
    ...quotaFaults(wanted.quota, options),
  ];
}

function textFaults(pointer: string, text: string | null | undefined, length: number): FieldFault[] {
  if (text === undefined || text === null) return [];
  // eslint-disable-next-line no-control-regex -- control characters are what is looked for
  if (text.trim() !== '' && text.length <= length && !/[\u0000-\u001f\u007f]/.test(text)) return [];
  return [{ pointer, expected: `1 to ${length} characters, none of them a control character` }];
}

function roleFaults({ role, scopes }: KeyPatch): FieldFault[] {
  if (role === undefined) return [];
  if (scopes !== undefined) {
    return [
      { pointer: '/scopes', expected: '`role` or `scopes`', received: 'both', hint: 'A role is a list of scopes.' },
    ];
  }
  return isRole(role)
    ? []
    : [{ pointer: '/role', expected: `one of ${Object.keys(ROLES).join(', ')}`, received: String(role).slice(0, 64) }];
}

interface ListRule {
  readonly accepts: (text: string) => boolean;
  readonly expected: string;
  readonly hint: string;
}

function listFaults(
  pointer: string,
  list: readonly string[] | null | undefined,
  options: AuthOptions,
  rule: ListRule,
): FieldFault[] {
  if (list === undefined || list === null) return [];
  if (list.length === 0 || list.length > options.grantsPerKey) {
    const expected = `1 to ${options.grantsPerKey} entries`;
    return [{ pointer, expected, received: `${list.length} entries`, hint: rule.hint }];
  }
  return list.flatMap((text, index) =>
    rule.accepts(text)
      ? []
      : [{ pointer: `${pointer}/${index}`, expected: rule.expected, received: text.slice(0, 64) }],
  );
}

function expiryFaults(expiresAtMs: number | null | undefined, nowMs: number): FieldFault[] {
  if (expiresAtMs === undefined || expiresAtMs === null) return [];
  if (expiresAtMs > nowMs && expiresAtMs < YEAR_10000_MS) return [];
  return [
    { pointer: '/expires_at', expected: 'a time to come, before the year 10000', hint: 'To end a key now, revoke it.' },
  ];
}

function rateFaults(rateLimit: RateLimit | null | undefined, options: AuthOptions): FieldFault[] {
  if (rateLimit === undefined || rateLimit === null) return [];
  return [
    ...wholeFaults('/rate_limit/requests', rateLimit.requests, options.rateLimitRequests),
    ...wholeFaults('/rate_limit/seconds', rateLimit.seconds, options.rateLimitSeconds),
  ];
}

function quotaFaults(quota: Quota | null | undefined, options: AuthOptions): FieldFault[] {
  if (quota === undefined || quota === null) return [];
  const faults = wholeFaults('/quota/requests', quota.requests, options.quotaRequests);
  if (!QUOTA_PERIODS.includes(quota.period)) {
    faults.push({ pointer: '/quota/period', expected: QUOTA_PERIODS.join(' or ') });
  }
  return faults;
}

function wholeFaults(pointer: string, value: number, most: number): FieldFault[] {
  if (Number.isInteger(value) && value >= 1 && value <= most) return [];
  return [{ pointer, expected: `a whole number from 1 to ${most}`, received: String(value) }];
}
