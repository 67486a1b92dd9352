import { RE2JS } from 're2js';
import type { EntityRule } from './feature-view';

/** Longest key in UTF-8. */
const KEY_BYTES = 256;

/** Why something cannot be the key of an entity. */
export interface KeyFault {
  readonly expected: string;
}

/** Reads the key of an entity as its rule says; numbers are keys by their digits. */
export function readEntityKey(rule: EntityRule, given: unknown): string | KeyFault {
  const { type, pattern, maxLength } = rule;
  if (type === 'int') {
    const number = typeof given === 'string' && /^-?\d{1,16}$/.test(given) ? Number(given) : given;
    return Number.isSafeInteger(number) ? String(number) : { expected: 'a whole number' };
  }
  if (typeof given !== 'string' || given === '') return { expected: 'text' };
  if (given.length > maxLength || Buffer.byteLength(given) > KEY_BYTES)
    return { expected: `at most ${Math.min(maxLength, KEY_BYTES)} characters and ${KEY_BYTES} bytes` };
  if (given.includes('\0') || !given.isWellFormed()) return { expected: 'well-formed text' };
  if (pattern !== undefined && !matcher(pattern).matches(given)) return { expected: `text like ${pattern}` };
  return given;
}

// Definitions are few; a view that goes takes its pattern with it at the next start.
const matchers = new Map<string, RE2JS>();

function matcher(pattern: string): RE2JS {
  const known = matchers.get(pattern);
  if (known) return known;
  const made = RE2JS.compile(pattern);
  matchers.set(pattern, made);
  return made;
}
