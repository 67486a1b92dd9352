import { CrashBreaker } from './crash-breaker';

const LIMITS = { crashesInARow: 3, crashesMost: 5, crashWindowMs: 60_000, crashCoolDownMs: 30_000 };

let breaker: CrashBreaker;
beforeEach(() => (breaker = new CrashBreaker(LIMITS)));

/** Whether each loss opened it. */
const lose = (...times: number[]): boolean[] => times.map((at) => breaker.lost(at));

describe('CrashBreaker', () => {
  it('opens at so many losses in a row, and says when to come again', () => {
    expect(lose(0, 1, 2)).toEqual([false, false, true]);
    expect([breaker.open, breaker.blocks]).toEqual([true, true]);
    expect(breaker.admit(2)).toMatchObject({ code: 'model_not_ready', retryAfterSeconds: 30 });
    expect(breaker.admit(29_500)).toMatchObject({ retryAfterSeconds: 1 });
  });

  it('stays closed while answers come in between, up to very many losses', () => {
    for (let at = 0; at < 4; at++) {
      expect(lose(at)).toEqual([false]);
      expect(breaker.survived()).toBe(false);
    }
    expect(lose(4)).toEqual([true]);
  });

  it('forgets what is longer ago than its window', () => {
    expect(lose(0, 1, 60_001, 60_002)).toEqual([false, false, false, false]);
    expect(lose(60_003)).toEqual([true]);
  });

  it('lets one request try after the cool-down: a loss opens it again, at once', () => {
    lose(0, 1, 2);
    expect(breaker.admit(30_002)).toBeUndefined();
    expect(breaker.blocks).toBe(false);
    expect(breaker.admit(30_003)).toMatchObject({ retryAfterSeconds: 30 });
    expect(lose(30_100)).toEqual([true]);
    expect([breaker.blocks, breaker.admit(60_099)?.retryAfterSeconds]).toEqual([true, 1]);
  });

  it('closes when the one that tries is answered, and then needs as many losses as before', () => {
    lose(0, 1, 2);
    breaker.admit(30_002);
    expect(breaker.survived()).toBe(true);
    expect(breaker.open).toBe(false);
    expect(lose(30_003, 30_004, 30_005)).toEqual([false, false, true]);
  });

  it('takes no answer for the attempt that began before it opened', () => {
    lose(0, 1, 2);
    expect(breaker.survived()).toBe(false);
    expect([breaker.open, breaker.blocks]).toEqual([true, true]);
    expect(lose(3)).toEqual([false]);
  });

  it('lets another one try when nothing has come of the first', () => {
    lose(0, 1, 2);
    breaker.admit(30_002);
    expect(breaker.admit(60_002)).toBeUndefined();
  });

  it('counts losses in a load, the first of two in a row only where it is no chance', () => {
    expect(breaker.lostInLoad(0, true)).toBe(false);
    breaker.loaded();
    expect(breaker.lostInLoad(1, true)).toBe(false);
    expect([breaker.lostInLoad(2, true), breaker.lostInLoad(3, false)]).toEqual([false, false]);
    expect(breaker.lostInLoad(4, false)).toBe(true);
  });
});
