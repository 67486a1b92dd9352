import type { Frame } from '../engine/frame';
import { KeptByFrames } from './kept-by-frames';
import type { Selection } from './selection';

const selectionOf = (members: number, heavy: number[] = []): Selection =>
  ({ members: Array.from({ length: members }), programs: [{ heavy }], views: [] }) as unknown as Selection;
const frameOf = (until = 10, values: unknown[] = [1]): Frame =>
  ({ at: 1, until, values, found: true }) as unknown as Frame;

/** How often it was made. */
function counting(bytes: number) {
  let made = 0;
  const kept = new KeptByFrames({ bytes, rowBytes: 80, valueBytes: 100 }, () => ++made);
  return kept;
}

describe('what was made of frames', () => {
  it('is found again by the same frames of the same selection', () => {
    const kept = counting(10_000);
    const [selection, other] = [selectionOf(1), selectionOf(1)];
    const [a, b] = [frameOf(), frameOf()];
    expect(kept.of(selection, [a, b])).toBe(1);
    expect(kept.of(selection, [a, b])).toBe(1);
    expect(kept.of(selection, [a, frameOf()])).toBe(2);
    expect(kept.of(other, [a, b])).toBe(3);
    expect(kept.of(selection, [a, b])).toBe(4);
  });

  it('is not kept where a frame serves for one moment only', () => {
    const kept = counting(10_000);
    const selection = selectionOf(1);
    const frames = [frameOf(), frameOf(2)];
    expect([kept.of(selection, frames), kept.of(selection, frames)]).toEqual([1, 2]);
    const longer = [frameOf(), frameOf(3)];
    expect([kept.of(selection, longer), kept.of(selection, longer)]).toEqual([3, 3]);
  });

  it('weighs as much as it has members', () => {
    const kept = counting(5 * 180);
    const [few, many] = [selectionOf(1), selectionOf(8)];
    const first = [frameOf()];
    const madeFirst = kept.of(few, first);
    // Each fills the room by itself.
    for (let i = 0; i < 2; i++) kept.of(many, [frameOf()]);
    expect(kept.of(few, first)).not.toBe(madeFirst);
  });

  it('is not kept where a frame serves for the first time', () => {
    const kept = counting(10_000);
    const selection = selectionOf(1);
    const frames = [frameOf(), { ...frameOf(), found: false }];
    expect([kept.of(selection, frames), kept.of(selection, frames)]).toEqual([1, 2]);
  });

  it('makes room for what is used, the heavier the sooner', () => {
    const selection = selectionOf(1);
    const frames = Array.from({ length: 20 }, () => [frameOf()]);
    const kept = counting(5 * 180);
    for (const one of frames.slice(0, 9)) kept.of(selection, one);
    // Used last, and from before.
    expect([8, 4, 0].map((i) => kept.of(selection, frames[i] as Frame[]))).toEqual([9, 5, 1]);
    for (const one of frames.slice(9)) kept.of(selection, one);
    expect(kept.of(selection, frames[0] as Frame[])).toBe(21);
    const texts = selectionOf(1, [0]);
    const long = [frameOf(10, ['x'.repeat(600)])];
    const first = kept.of(texts, long);
    kept.of(texts, [frameOf(10, ['x'.repeat(600)])]);
    expect(kept.of(texts, long)).toBe(first);
    kept.of(texts, [frameOf(10, ['x'.repeat(600)])]);
    kept.of(texts, [frameOf(10, ['x'.repeat(600)])]);
    expect(kept.of(texts, long)).not.toBe(first);
  });
});
