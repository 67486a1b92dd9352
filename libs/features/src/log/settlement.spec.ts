import { setTimeout as pause } from 'node:timers/promises';
import { MICROS_PER_SECOND } from '../time';
import { Settlement } from './settlement';

const SECOND = MICROS_PER_SECOND;

describe('a moment', () => {
  it('is settled when all that arrived until then was told of, and never by age: a commit may hang', async () => {
    let now = 100 * SECOND;
    const settlement = new Settlement(() => now);
    settlement.told(90 * SECOND);
    now = 1000 * SECOND;
    expect([90, 91, 500].map((second) => settlement.has(second * SECOND))).toEqual([true, false, false]);
    // So long after, nobody waits for as long as they would: it is told as it is.
    expect(await settlement.reach(91 * SECOND, 3_600_000)).toBe(false);
    settlement.told(999 * SECOND);
    expect(await settlement.reach(500 * SECOND, 0)).toBe(true);
    expect(settlement.wanted).toBe(false);
  });

  it('is waited for, by all who ask, until it is settled', async () => {
    const settlement = new Settlement(() => 100 * SECOND);
    let hurried = 0;
    settlement.onWanted(() => (hurried += 1));
    const both = Promise.all([settlement.reach(100 * SECOND, 60_000), settlement.reach(99 * SECOND, 60_000)]);
    settlement.told(99.5 * SECOND);
    expect(settlement.wanted).toBe(true);
    settlement.told(100 * SECOND);
    expect(await both).toEqual([true, true]);
    expect([hurried, settlement.wanted]).toEqual([1, false]);
  });
});

it('who is not told that somebody looked is deaf after as long as the last look said', async () => {
  const settlement = new Settlement(() => 0);
  expect(settlement.deaf).toBe(false);
  settlement.looked(0);
  await pause(5);
  expect(settlement.deaf).toBe(true);
  settlement.looked(3_600_000);
  expect(settlement.deaf).toBe(false);
});
