import { randomNumbers } from '../operators/testing';
import { FeatureProfile, QUANTILES } from './feature-profile';

const random = randomNumbers(3);
const values = Array.from({ length: 10_000 }, () => Math.round((random() - 0.3) * 2e6) / 1e3);

function profileOf(part: readonly number[]): FeatureProfile {
  const profile = new FeatureProfile();
  for (const [i, value] of part.entries()) profile.add(value, 'PRESENT', i * 1000);
  return profile;
}

it('says within a hundredth what the values are, merged or not', () => {
  const whole = profileOf(values).summary();
  const merged = new FeatureProfile();
  for (let i = 0; i < values.length; i += 700) merged.merge(profileOf(values.slice(i, i + 700)));
  expect(merged.summary()).toEqual({ ...whole, mean: expect.closeTo(whole.mean ?? 0, 9) as number });
  const sorted = [...values].sort((a, b) => a - b);
  for (const [i, q] of QUANTILES.entries()) {
    const exact = sorted[Math.round(q * (sorted.length - 1))] as number;
    expect(Math.abs((whole.quantiles?.[i] ?? 0) - exact)).toBeLessThanOrEqual(Math.abs(exact) * 0.011 + 0.5);
  }
  const counts = whole.histogram?.counts ?? [];
  expect(counts.reduce((sum, count) => sum + count, 0)).toBe(values.length);
  const [min, max] = [sorted[0] as number, sorted.at(-1) as number];
  const exact = counts.map((_, i) => {
    const [from, to] = [min + ((max - min) / 20) * i, min + ((max - min) / 20) * (i + 1)];
    return sorted.filter((value) => value <= to && (i === 0 || value > from)).length;
  });
  for (const [i, count] of counts.entries()) expect(Math.abs(count - (exact[i] ?? 0))).toBeLessThan(150);
});

it('tells apart values that lie closer together than the error of its sketch', () => {
  // The borders of bins of one percent are 2 % apart: these are in two of them.
  const prices = Array.from({ length: 100 }, (_, i) => 44_000 + 7 * i);
  const { quantiles = [], histogram, min, max } = profileOf(prices).summary();
  expect({ min, max }).toEqual({ min: 44_000, max: 44_693 });
  for (const [i, q] of QUANTILES.entries()) expect(Math.abs((quantiles[i] ?? 0) - (44_000 + q * 693))).toBeLessThan(14);
  for (const count of histogram?.counts ?? []) expect(Math.abs(count - 5)).toBeLessThanOrEqual(2);
  expect(histogram?.counts.reduce((sum, count) => sum + count, 0)).toBe(100);
});

it('counts what has no value, and ages of what has an event behind it', () => {
  const profile = new FeatureProfile();
  profile.add(null, 'STALE', 90e6);
  profile.add(null, 'NOT_FOUND', Number.NaN);
  profile.add(true, 'PRESENT', 10e6);
  profile.add(false, 'DEFAULTED', Number.NaN);
  expect(profile.summary()).toMatchObject({ count: 4, nullRate: 0.5, mean: 0.5, statuses: { STALE: 1, PRESENT: 1 } });
  expect(profile.ageSummary()).toMatchObject({ count: 2, max: 90 });
  expect(new FeatureProfile().ageSummary()).toBeUndefined();
});
