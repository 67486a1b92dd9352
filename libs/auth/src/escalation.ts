import { DomainError, type FieldFault } from '@sibyl/kernel';
import type { KeyRights, Quota } from './api-key';
import { globWithin } from './glob';
import { cidrWithin } from './networks';
import type { Principal } from './principal';
import type { RateLimit } from './rate-limiter';
import { scopeWithin } from './scopes';

/** One right that goes further than the caller's. */
interface Excess extends FieldFault {
  /** The scope by which it does, where it is one. */
  readonly scope?: string;
}

/** Days of the longest month: a daily quota may be used up on each of them. */
const MONTH_DAYS = 31;

/** Everything in which `rights` go further than `own`; empty when they are within. */
export function excessOver(rights: KeyRights, own: KeyRights): readonly Excess[] {
  return [
    ...rights.scopes.flatMap((scope, index) =>
      scopeWithin(scope, own.scopes)
        ? []
        : [{ pointer: `/scopes/${index}`, received: scope, expected: `within ${own.scopes.join(', ')}`, scope }],
    ),
    ...listExcess('/models', rights.models, own.models, globWithin),
    ...listExcess('/cidrs', rights.cidrs, own.cidrs, cidrWithin),
    ...excessIf(
      (rights.expiresAtMs ?? Infinity) > (own.expiresAtMs ?? Infinity),
      '/expires_at',
      'no later than your own',
    ),
    ...excessIf(!rateWithin(rights.rateLimit, own.rateLimit), '/rate_limit', 'no more than your own'),
    ...excessIf(!quotaWithin(rights.quota, own.quota), '/quota', 'no more than your own'),
  ];
}

/** How a key may be issued: as a share of the caller's own rights, or by grant. Anything else is refused, naming what goes too far. */
export function issueAction(principal: Principal, rights: KeyRights): 'key.issue' | 'key.grant' {
  const excess = excessOver(rights, principal);
  if (excess.length === 0 && principal.scopes.includes('keys:write')) return 'key.issue';
  if (principal.scopes.includes('keys:grant')) return 'key.grant';
  if (excess.length === 0) throw new DomainError('scope_missing', 'The key lacks the scope `keys:write`.');
  throw tooMuch(excess, 'Your key lacks the scope `keys:grant`, without which one gives no more than one has');
}

/**
 * Refuses a change by which a key would gain something and then allow more than the caller's own: not even with
 * `keys:grant`, for more than one has is handed out in a new key, as a grant on record. Taking rights away is free.
 */
export function refuseLift(principal: Principal, before: KeyRights, after: KeyRights): void {
  if (excessOver(after, before).length === 0) return;
  const excess = excessOver(after, principal);
  if (excess.length > 0) throw tooMuch(excess, 'A change lifts no key beyond your own');
}

function tooMuch(excess: readonly Excess[], reason: string): DomainError {
  const scopes = excess.flatMap((entry) => (entry.scope === undefined ? [] : [`\`${entry.scope}\``]));
  const names =
    scopes.length > 0 ? scopes.join(', ') : excess.map((entry) => `\`${entry.pointer.slice(1)}\``).join(', ');
  return new DomainError('scope_missing', `${reason}: ${names.slice(0, 500)}.`, {
    faults: excess.map(({ scope: _, ...fault }) => fault),
  });
}

function listExcess(
  pointer: string,
  list: readonly string[] | undefined,
  own: readonly string[] | undefined,
  within: (inner: string, outer: string) => boolean,
): Excess[] {
  if (own === undefined) return [];
  const expected = `within ${own.join(', ')}`;
  if (list === undefined) return [{ pointer, expected, received: 'no limit' }];
  return list.flatMap((entry, index) =>
    own.some((outer) => within(entry, outer)) ? [] : [{ pointer: `${pointer}/${index}`, expected, received: entry }],
  );
}

function excessIf(condition: boolean, pointer: string, expected: string): Excess[] {
  return condition ? [{ pointer, expected }] : [];
}

/** Neither a larger burst nor a faster pace. */
function rateWithin(rate: RateLimit | undefined, own: RateLimit | undefined): boolean {
  if (own === undefined) return true;
  if (rate === undefined) return false;
  return rate.requests <= own.requests && rate.requests * own.seconds <= own.requests * rate.seconds;
}

function quotaWithin(quota: Quota | undefined, own: Quota | undefined): boolean {
  if (own === undefined) return true;
  if (quota === undefined) return false;
  const days = quota.period === 'day' && own.period === 'month' ? MONTH_DAYS : 1;
  return quota.requests * days <= own.requests;
}
