import { cutBegin } from './retention-class';

const at = (text: string): number => Date.parse(text) * 1000;

it.each([
  [0, '2026-05-20T21:15:00Z', '2026-05-20T00:00:00Z'],
  [1, '2026-05-20T21:15:00Z', '2026-05-18T00:00:00Z'],
  [1, '2026-05-18T00:00:00Z', '2026-05-18T00:00:00Z'],
  [1, '2026-05-17T23:59:59Z', '2026-05-11T00:00:00Z'],
  [2, '2026-05-20T21:15:00Z', '2026-05-01T00:00:00Z'],
  [2, '2024-02-29T21:15:00Z', '2024-02-01T00:00:00Z'],
  [3, '2026-05-20T21:15:00Z', '2026-01-01T00:00:00Z'],
])('of class %d the cut of %s begins at %s', (retentionClass, moment, begin) => {
  expect(cutBegin(retentionClass, at(moment))).toBe(at(begin));
});
