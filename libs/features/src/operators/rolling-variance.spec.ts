import type { Series } from '../engine/series';
import { computed } from './computed';
import { compiled, randomNumbers } from './testing';

const UPDATES = 10_000_000;
const WINDOW = 20;
const ROOM = 1 << 16;

/** Whole hundredths, so that sums of squares are exact in whole numbers of any length. */
function exactVariance(hundredths: readonly number[]): number {
  const values = hundredths.map(BigInt);
  const n = BigInt(values.length);
  const sum = values.reduce((total, value) => total + value, 0n);
  const squares = values.reduce((total, value) => total + value * value, 0n);
  // 30 digits more than a double holds, then once rounded.
  const scaled = ((n * squares - sum * sum) * 10n ** 30n) / (n * n);
  return Number(scaled) / 1e30 / 10_000;
}

const relative = (value: number, exact: number): number => Math.abs(value - exact) / exact;

// Globals are slow to find in a Jest environment, and this runs ten million times.
const { max, round } = Math;

it('rolling variance is as exact after ten million updates as after the first', () => {
  const random = randomNumbers(8);
  const variance = compiled('var', { window: { events: WINDOW } });
  const out = computed(1);
  const times = new Float64Array(ROOM);
  const column = new Float64Array(ROOM);
  const series: { -readonly [key in keyof Series]: Series[key] } = {
    start: 0,
    end: 0,
    times,
    numbers: [column],
    strings: [],
    whole: false,
    cut: false,
  };
  let price = 9_123_456;
  let sum = 0;
  let squares = 0;
  let worst = 0;
  let worstOfSums = 0;
  for (let update = 1; update <= UPDATES; update++) {
    if (series.end === ROOM) {
      column.copyWithin(0, ROOM - WINDOW);
      series.start = 0;
      series.end = WINDOW;
    }
    price += round(201 * random()) - 100;
    // Now and then a value from another world, which what is carried from window to window does not get over.
    const hundredths = update % 1_000_003 === 0 ? 1e13 : price;
    column[series.end++] = hundredths / 100;
    series.start = max(series.start, series.end - WINDOW);
    sum += hundredths / 100;
    squares += (hundredths / 100) ** 2;
    if (update > WINDOW) {
      const left = column[series.end - WINDOW - 1] ?? 0;
      sum -= left;
      squares -= left ** 2;
    }
    variance.compute(series, 0, out);
    if (update < WINDOW || update % 9973 !== 0) continue;
    const window = [...column.subarray(series.end - WINDOW, series.end)].map((value) => Math.round(value * 100));
    const exact = exactVariance(window);
    worst = Math.max(worst, relative(Number(out.values[0]), exact));
    worstOfSums = Math.max(worstOfSums, relative(squares / WINDOW - (sum / WINDOW) ** 2, exact));
  }
  expect(worst).toBeLessThanOrEqual(1e-9);
  // The data are such that it matters: sums that roll along are far off.
  expect(worstOfSums).toBeGreaterThan(1e-3);
});
