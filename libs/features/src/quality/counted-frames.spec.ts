import type { Frame } from '../engine/frame';
import type { Program } from '../engine/program';
import { FeatureQuality } from './feature-quality';

const SECOND = 1e6;
const BEGIN = 1_700_000_040 * SECOND;

const program = {
  plan: { view: { name: 'v', hash: 'h' } },
  slots: new Map([['x', 0]]),
} as unknown as Program;
const frameOf = (value: number, eventTime: number): Frame =>
  ({ values: [value], statuses: ['PRESENT'], times: [eventTime] }) as unknown as Frame;

it('counts each time that a frame is served, and how old it was each time', () => {
  const quality = new FeatureQuality();
  const serve = (frame: Frame, at: number): void => quality.observe([program], { at, frames: [[frame]] });
  const [first, second] = [frameOf(1, BEGIN), frameOf(9, BEGIN)];
  for (let i = 0; i < 10; i++) serve(first, BEGIN + i * SECOND);
  for (let i = 0; i < 30; i++) serve(second, BEGIN + 10 * SECOND + i);
  const [line] = quality.since(BEGIN).lines;
  expect(line).toMatchObject({ feature: 'x' });
  expect(line?.profile.summary()).toMatchObject({ count: 40, statuses: { PRESENT: 40 }, min: 1, max: 9, mean: 7 });
  const ages = line?.profile.ageSummary();
  expect(ages?.count).toBe(40);
  expect(ages?.max).toBeCloseTo(10, 1);
  // Asked again in the middle of counting, nothing is lost or counted twice.
  serve(first, BEGIN + 11 * SECOND);
  expect(quality.since(BEGIN).lines[0]?.profile.count).toBe(41);
  expect(quality.since(BEGIN).lines[0]?.profile.count).toBe(41);
  // What is served in the next minute is of that minute.
  serve(second, BEGIN + 60 * SECOND);
  expect(quality.since(BEGIN + 60 * SECOND).lines[0]?.profile.count).toBe(1);
});
