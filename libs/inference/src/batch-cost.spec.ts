import { BatchCost } from './batch-cost';

const FIXED_MS = 0.5;
const PER_ROW_MS = 0.25;
const timeOf = (rows: number): number => FIXED_MS + PER_ROW_MS * rows;

let cost: BatchCost;

beforeEach(() => {
  cost = new BatchCost();
});

function learn(sizes: readonly number[], time = timeOf): void {
  for (const rows of sizes) cost.learn(rows, time(rows));
}

function repeat(count: number, sizes: readonly number[]): number[] {
  return Array.from({ length: count }, () => sizes).flat();
}

describe('BatchCost', () => {
  it('finds the fixed part and the part of each row from batches of three sizes', () => {
    learn([1, 8, 32]);
    expect(cost.fixedMs).toBeCloseTo(FIXED_MS, 9);
    expect(cost.perRowMs).toBeCloseTo(PER_ROW_MS, 9);
    expect(cost.expect(100)).toBeCloseTo(timeOf(100), 9);
  });

  it('says how many rows fit into a time, and never less than one', () => {
    learn([1, 8, 32]);
    expect(cost.rowsWithin(10)).toBe(38);
    expect(cost.rowsWithin(1)).toBe(4); // the rows of twice the fixed part: less would be little but that
    learn(repeat(200, [1, 2]), (rows) => 50 * rows);
    expect(cost.rowsWithin(10)).toBe(1);
  });

  it('lets batches grow by steps beyond what was ever run', () => {
    expect(cost.rowsWithin(10)).toBe(32);
    learn([1, 8, 64], (rows) => 0.1 + rows * 1e-6);
    expect(cost.rowsWithin(10)).toBe(256);
  });

  it('tells models that gain by running rows together from those that do not', () => {
    expect(cost.gains).toBe(true); // nothing is known yet
    learn([1, 8, 32], (rows) => 0.05 + 1.6 * rows);
    expect(cost.gains).toBe(false);
    learn(repeat(100, [1, 8, 32]), (rows) => 1 + 0.1 * rows);
    expect(cost.gains).toBe(true);
  });

  it('follows a model that has become slower or faster', () => {
    learn([1, 8, 32]);
    learn(repeat(300, [2, 16]), (rows) => 3 * timeOf(rows));
    expect(cost.expect(10)).toBeCloseTo(3 * timeOf(10), 1);
    learn(repeat(300, [2, 16]), (rows) => timeOf(rows) / 2);
    expect(cost.expect(10)).toBeCloseTo(timeOf(10) / 2, 1);
  });

  it('keeps what a row costs while all batches are of one size, within what they take', () => {
    learn([1, 8, 32]);
    learn(repeat(300, [8]));
    expect(cost.perRowMs).toBeCloseTo(PER_ROW_MS, 9);
    expect(cost.expect(8)).toBeCloseTo(timeOf(8), 9);
    learn(repeat(300, [8]), () => 0.8);
    expect(cost.perRowMs).toBeCloseTo(0.1, 2);
    expect(cost.fixedMs).toBeGreaterThanOrEqual(0);
  });

  it('is not misled by one batch that something else held up', () => {
    learn(repeat(20, [1, 8, 32]));
    cost.learn(8, 5_000);
    expect(cost.expect(8)).toBeLessThan(2 * timeOf(8));
  });

  it('expects no less than nothing of times that fall as batches grow', () => {
    learn([1, 8, 32], (rows) => 10 / rows);
    expect(cost.perRowMs).toBe(0);
    expect(cost.expect(1000)).toBeGreaterThan(0);
    expect(cost.rowsWithin(1)).toBe(128);
  });
});
