import { FakeClock } from '@sibyl/kernel/testing';
import { DomainError } from '@sibyl/kernel';
import { allowsModel } from './allowed-models';
import { aPrincipal, Door } from './testing';

function refusal(work: () => unknown): DomainError {
  try {
    work();
  } catch (error) {
    if (error instanceof DomainError) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}

describe('Gate.authorize', () => {
  const door = new Door(new FakeClock());
  const { gate } = door;

  beforeAll(() => door.snapshot.refresh());

  it('allows what the key holds and refuses the rest, naming the scope', () => {
    const principal = aPrincipal({ scopes: ['models:read', 'predict'] });
    expect(() => gate.authorize(principal, 'models:read')).not.toThrow();
    expect(() => gate.authorize(principal, 'predict', 'momentum')).not.toThrow();
    const error = refusal(() => gate.authorize(principal, 'keys:write'));
    expect(error).toMatchObject({ code: 'scope_missing', detail: 'The key lacks the scope `keys:write`.' });
  });

  it('refuses everything to a key without scopes', () => {
    for (const scope of ['predict', 'models:read', 'ops:read', 'keys:grant'] as const) {
      expect(refusal(() => gate.authorize(aPrincipal({ scopes: [] }), scope)).code).toBe('scope_missing');
    }
  });

  it('needs one of several scopes', () => {
    expect(() => gate.authorize(aPrincipal({ scopes: ['keys:grant'] }), ['keys:write', 'keys:grant'])).not.toThrow();
    expect(refusal(() => gate.authorize(aPrincipal(), ['keys:write', 'keys:grant']))).toMatchObject({
      code: 'scope_missing',
      detail: 'The key lacks the scope `keys:write` or `keys:grant`.',
    });
  });

  it('narrows predict:<glob> to its models, and passes at the door where no model is known yet', () => {
    const principal = aPrincipal({ scopes: ['predict:fraud_*', 'predict:momentum'] });
    expect(() => gate.authorize(principal, 'predict')).not.toThrow();
    expect(() => gate.authorize(principal, 'predict', 'fraud_detection')).not.toThrow();
    expect(() => gate.authorize(principal, 'predict', 'momentum')).not.toThrow();
    expect(refusal(() => gate.authorize(principal, 'predict', 'momentum2')).code).toBe('model_forbidden');
    expect(refusal(() => gate.authorize(principal, 'models:read', 'momentum')).code).toBe('scope_missing');
  });

  it('narrows predict and models:* by the globs of the key, and nothing else', () => {
    const principal = aPrincipal({
      scopes: ['predict', 'models:read', 'models:write', 'models:promote', 'audit:read'],
      models: ['fraud_*'],
    });
    for (const scope of ['predict', 'models:read', 'models:write', 'models:promote'] as const) {
      expect(() => gate.authorize(principal, scope, 'fraud_detection')).not.toThrow();
      expect(refusal(() => gate.authorize(principal, scope, 'momentum')).code).toBe('model_forbidden');
      expect(allowsModel(principal, scope, 'momentum')).toBe(false);
    }
    expect(() => gate.authorize(principal, 'audit:read', 'momentum')).not.toThrow();
  });

  it('lets both narrow at once', () => {
    const principal = aPrincipal({ scopes: ['predict:a*'], models: ['*b'] });
    expect(allowsModel(principal, 'predict', 'ab')).toBe(true);
    expect(allowsModel(principal, 'predict', 'a')).toBe(false);
    expect(allowsModel(principal, 'predict', 'b')).toBe(false);
    expect(allowsModel(principal, 'models:read', 'ab')).toBe(false);
  });

  it('allows only predict once the keys could not be checked for 15 minutes', async () => {
    const cut = new Door(new FakeClock());
    const principal = aPrincipal({ scopes: ['predict', 'models:read'] });
    await cut.snapshot.refresh();
    cut.clock.advance(15 * 60_000);
    expect(() => cut.gate.authorize(principal, 'models:read')).not.toThrow();
    cut.clock.advance(1);
    expect(refusal(() => cut.gate.authorize(principal, 'models:read')).code).toBe('database_unavailable');
    expect(() => cut.gate.authorize(principal, 'predict', 'momentum')).not.toThrow();
    expect(cut.snapshot.status()).toMatchObject({ stale: true, ageMs: 15 * 60_000 + 1 });
    await cut.snapshot.refresh();
    expect(() => cut.gate.authorize(principal, 'models:read')).not.toThrow();
  });
});

describe('Gate.admit', () => {
  let door: Door<FakeClock>;

  beforeEach(() => {
    door = new Door(new FakeClock());
  });

  it('does not limit a key without a limit', () => {
    for (let i = 0; i < 10_000; i++) expect(door.gate.admit(aPrincipal())).toBeUndefined();
    expect(door.gate.limits(aPrincipal())).toEqual([]);
  });

  it('lets the limit through and no more', () => {
    const principal = aPrincipal({ rateLimit: { requests: 3, seconds: 60 } });
    expect([1, 2, 3].map(() => door.gate.admit(principal)?.remaining)).toEqual([2, 1, 0]);
    const error = refusal(() => door.gate.admit(principal));
    expect(error).toMatchObject({ code: 'rate_limited', retryAfterSeconds: 20 });
    expect(door.gate.limits(principal)).toMatchObject([
      { policy: 'key', limit: 3, seconds: 60, remaining: 0, resetSeconds: 60 },
    ]);
  });

  it('lets a quota through until the calendar day or month of UTC ends', () => {
    const daily = aPrincipal({ keyId: 'daily', quota: { requests: 2, period: 'day' } });
    const monthly = aPrincipal({ keyId: 'monthly', quota: { requests: 1, period: 'month' } });
    expect(door.gate.admit(daily)).toMatchObject({ policy: 'quota', limit: 2, seconds: 86_400, remaining: 1 });
    door.gate.admit(daily);
    door.gate.admit(monthly);
    const untilMidnight = (Date.parse('2026-01-16T00:00:00Z') - door.clock.now()) / 1_000;
    const untilFebruary = (Date.parse('2026-02-01T00:00:00Z') - door.clock.now()) / 1_000;
    expect(refusal(() => door.gate.admit(daily))).toMatchObject({
      code: 'quota_exhausted',
      retryAfterSeconds: untilMidnight,
    });
    expect(refusal(() => door.gate.admit(monthly))).toMatchObject({
      code: 'quota_exhausted',
      retryAfterSeconds: untilFebruary,
    });
    expect(door.gate.limits(daily)).toMatchObject([{ policy: 'quota', remaining: 0 }]);
    door.clock.advance(untilMidnight * 1_000 - 1);
    expect(refusal(() => door.gate.admit(daily))).toMatchObject({ retryAfterSeconds: 1 });
    door.clock.advance(1);
    expect(door.gate.admit(daily)).toMatchObject({ remaining: 1 });
    expect(refusal(() => door.gate.admit(monthly)).code).toBe('quota_exhausted');
  });

  it('does not open an earlier period again when the clock is put back', () => {
    const principal = aPrincipal({ quota: { requests: 1, period: 'day' } });
    door.gate.admit(principal);
    door.clock.advance(-86_400_000);
    expect(refusal(() => door.gate.admit(principal)).code).toBe('quota_exhausted');
  });

  it('takes nothing off the quota for what the rate limit refuses', () => {
    const principal = aPrincipal({ rateLimit: { requests: 1, seconds: 1 }, quota: { requests: 2, period: 'day' } });
    door.gate.admit(principal);
    for (let i = 0; i < 5; i++) expect(refusal(() => door.gate.admit(principal)).code).toBe('rate_limited');
    door.clock.advance(1_000);
    expect(door.gate.admit(principal)).toMatchObject({ policy: 'key' });
    expect(door.gate.limits(principal)[0]).toMatchObject({ remaining: 0 });
  });
});
