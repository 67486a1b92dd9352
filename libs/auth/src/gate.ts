/** Hot path. See docs/paths/predict.md. */
import { DomainError, type Actor, type Clock } from '@sibyl/kernel';
import { allowsModel } from './allowed-models';
import type { AuthOptions } from './auth-options';
import type { ConnectionProof } from './connection-proof';
import type { LimitExchange, Taking } from './limit-exchange';
import type { KeyDigest } from './key-digest';
import type { KeyEntry, KeyTable, SecretEntry } from './key-snapshot';
import { parseKey, type ParsedKey } from './key-text';
import type { KeyUsage } from './key-usage';
import { addressBlock } from './networks';
import type { Principal } from './principal';
import { RateLimiter, type LimitState, type RateLimit } from './rate-limiter';
import { holdsScope, type Scope } from './scopes';

/**
 * The one gate of every transport: who calls, whether they may, and whether not too often. Synchronous and without
 * I/O: it reads the key table in memory. What it does not allow is refused.
 */
export class Gate {
  /** The limits of keys, shared with the throttler of the controllers. */
  readonly keyLimits: RateLimiter;
  private readonly failures: RateLimiter;
  private readonly failureLimit: RateLimit;

  constructor(
    private readonly keys: KeyTable,
    private readonly digest: KeyDigest,
    private readonly usage: KeyUsage,
    private readonly clock: Clock,
    private readonly options: AuthOptions,
  ) {
    this.keyLimits = new RateLimiter(clock, options.limiterEntries, 'key');
    this.failures = new RateLimiter(clock, options.limiterEntries, 'address');
    this.failureLimit = { requests: options.failedAuthentications, seconds: options.failedAuthenticationSeconds };
  }

  /**
   * The holder of the key. `address` is the peer's, which behind a proxy is the proxy's. `proof` is what the same connection has
   * proven before: the same text against the same entry need not be hashed again.
   */
  authenticate(credential: string | undefined, address: string, proof?: ConnectionProof): Principal {
    if (credential === undefined || credential === '') {
      throw new DomainError('key_missing', 'This route needs an API key.');
    }
    const secret = proof?.holds(credential, this.keys) ?? this.prove(credential, address, proof);
    const key = secret && this.keys.key(secret.keyId);
    if (!secret || !key) throw this.failed('key_unknown', 'The API key is not valid.', address);
    this.checkUsable(key, secret.expiresAtMs, address);
    return key.principal;
  }

  /** Whose key it is even if it was revoked, has expired or comes from a wrong address: for the record of a refusal only. */
  holderOf(credential: string | undefined): Actor | undefined {
    const parsed = credential === undefined ? undefined : parseKey(credential);
    const secret = parsed && this.provenSecret(parsed);
    return secret && this.keys.key(secret.keyId)?.principal.actor;
  }

  /**
   * Refuses what the key does not allow. Of several scopes one is enough. Once it is known which model a request is
   * about, the model must be given: without it a key that is limited to some models passes.
   */
  authorize(principal: Principal, scope: Scope | readonly Scope[], model?: string): void {
    const held = heldScope(principal, scope);
    if (held === undefined) {
      const names = (typeof scope === 'string' ? [scope] : scope).map((one) => `\`${one}\``).join(' or ');
      throw new DomainError('scope_missing', `The key lacks the scope ${names}.`);
    }
    if (model !== undefined && !allowsModel(principal, held, model)) {
      throw new DomainError('model_forbidden', `The key may not use the model \`${model.slice(0, 128)}\`.`);
    }
    if (held !== 'predict' && this.keys.ageMs() > this.options.staleLimitMs) {
      throw new DomainError('database_unavailable', 'Keys could not be checked against the database for too long.');
    }
  }

  /** Takes one request off the key's limit and quota; what it returns goes into the RateLimit headers. */
  admit(principal: Principal, cost = 1): LimitState | undefined {
    const { keyId, rateLimit, quota } = principal;
    const rate = rateLimit && this.keyLimits.take(keyId, rateLimit, cost);
    if (rate?.allowed === false) {
      throw new DomainError('rate_limited', `The key allows ${rate.limit} requests in ${rate.seconds} s.`, {
        retryAfterSeconds: rate.retryAfterSeconds,
      });
    }
    const spent = quota && this.usage.take(keyId, quota, cost);
    if (quota && spent?.allowed === false) {
      throw new DomainError('quota_exhausted', `The key allows ${quota.requests} requests a ${quota.period}.`, {
        retryAfterSeconds: spent.retryAfterSeconds,
      });
    }
    return rate ?? spent;
  }

  /** The limits of a key as they stand, for the headers of a refusal: the one with less left first. */
  limits(principal: Principal): LimitState[] {
    const { keyId, rateLimit, quota } = principal;
    const states: LimitState[] = [];
    if (rateLimit) states.push(this.keyLimits.peek(keyId, rateLimit));
    if (quota) states.push(this.usage.take(keyId, quota, 0));
    return states.sort((a, b) => a.remaining - b.remaining);
  }

  /** How many failed authentications an address has left. */
  addressLimit(address: string): LimitState {
    return this.failures.peek(addressBlock(address), this.failureLimit);
  }

  /** Limits and quotas are those of several processes from here on: each hears what the others take. */
  shareLimits(exchange: LimitExchange): void {
    for (const limits of [this.keyLimits, this.failures, this.usage]) limits.shareWith(exchange);
  }

  /** What another process has taken. */
  hear(takings: readonly Taking[]): void {
    for (const taking of takings) {
      if (taking.policy === 'quota') this.usage.hear(taking.id, taking.period, taking.cost);
      else (taking.policy === 'key' ? this.keyLimits : this.failures).hear(taking.id, taking, taking.cost);
    }
  }

  private prove(credential: string, address: string, proof: ConnectionProof | undefined): SecretEntry | undefined {
    const parsed = parseKey(credential);
    if (!parsed) throw this.failed('key_malformed', 'The API key is not well-formed.', address);
    const secret = this.provenSecret(parsed);
    if (secret !== undefined) proof?.remember(credential, parsed.prefix, secret);
    return secret;
  }

  private provenSecret(parsed: ParsedKey): SecretEntry | undefined {
    const secret = this.keys.secret(parsed.prefix);
    return this.digest.matches(parsed.prefix, parsed.secret, secret?.digest) ? secret : undefined;
  }

  /** In this order, so that the holder of a secret, and nobody else, learns what has become of the key. */
  private checkUsable(key: KeyEntry, secretExpiresAtMs: number, address: string): void {
    if (key.revokedAtMs !== undefined) throw this.failed('key_revoked', 'The API key was revoked.', address);
    const now = this.clock.now();
    if (key.expiresAtMs <= now || secretExpiresAtMs <= now) {
      throw this.failed('key_expired', 'The API key has expired.', address);
    }
    if (key.networks !== undefined && !key.networks.contains(address)) {
      throw new DomainError('address_forbidden', 'The API key may not be used from this address.');
    }
    this.usage.touch(key.principal.keyId, now);
  }

  /** Counts a failure; past the limit the answer is the limit. Good keys of the same address are never held up. */
  private failed(
    code: 'key_malformed' | 'key_unknown' | 'key_revoked' | 'key_expired',
    detail: string,
    address: string,
  ): DomainError {
    const decision = this.failures.take(addressBlock(address), this.failureLimit);
    if (decision.allowed) return new DomainError(code, detail);
    return new DomainError('rate_limited', 'Too many failed authentications from this address.', {
      retryAfterSeconds: decision.retryAfterSeconds,
    });
  }
}

function heldScope(principal: Principal, scope: Scope | readonly Scope[]): Scope | undefined {
  if (typeof scope === 'string') return holdsScope(principal.scopes, scope) ? scope : undefined;
  return scope.find((one) => holdsScope(principal.scopes, one));
}
