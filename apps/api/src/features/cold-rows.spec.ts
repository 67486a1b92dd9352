import { coldMsOf } from './cold-rows';

it.each([
  ['one row, whatever the deadline', 1, 30_000, 40],
  ['several rows: each as if it were alone', 20, 30_000, 800],
  ['many rows: half of what is left of the call', 1000, 30_000, 15_000],
  ['little is left: the deadline of the call decides', 1000, 10, 40],
  ['nothing is left', 1000, -5, 40],
])('%s', (_, rows, left, expected) => {
  expect(coldMsOf({ rows, deadlineAt: 70_000 + left }, 70_000)).toBe(expected);
});
