import type { FeatureValue } from '../feature-value';

/** Measured: a string with its place in an array, an array, and a number in one, which is an object of its own as a rule. */
const TEXT_BYTES = 24;
const LIST_BYTES = 64;
const ITEM_BYTES = 28;

/** What a value weighs beyond its slot: nothing where it is a number. */
export function valueBytes(value: FeatureValue | undefined): number {
  if (typeof value === 'string') return textBytes(value);
  if (value === null || typeof value !== 'object') return 0;
  const [first] = value;
  const bytes = LIST_BYTES + value.length * ITEM_BYTES;
  if (typeof first !== 'string' && first !== null) return bytes;
  return value.reduce<number>((sum, item) => sum + (typeof item === 'string' ? textBytes(item) : 0), bytes);
}

export function textBytes(text: string | null): number {
  // Two bytes a character where one is beyond Latin-1: counted so for all, as nobody looks.
  return text === null ? 0 : TEXT_BYTES + 2 * text.length;
}
