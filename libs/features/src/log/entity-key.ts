import { RE2JS } from 're2js';
import type { EntityRule } from '../definitions/feature-view';

const ENTITY_BYTES = 256;
/** Keys that were found to be like their pattern, of one pattern; past that all are forgotten and found again. */
const FOUND_MAX = 8192;

/** The key of an entity as it lies in the log, or what was expected of it. */
export function entityKey(rule: EntityRule, given: unknown): string | { readonly expected: string } {
  const { type, pattern, maxLength } = rule;
  if (type === 'int') {
    const number = typeof given === 'string' && /^-?\d{1,16}$/.test(given) ? Number(given) : given;
    if (typeof number !== 'number' || !Number.isSafeInteger(number)) return { expected: 'a whole number' };
    return String(number);
  }
  if (typeof given !== 'string' || given === '') return { expected: 'text' };
  if (given.length > maxLength || Buffer.byteLength(given) > ENTITY_BYTES)
    return { expected: `at most ${Math.min(maxLength, ENTITY_BYTES)} characters and ${ENTITY_BYTES} bytes` };
  if (given.includes('\0') || !given.isWellFormed()) return { expected: 'well-formed text' };
  if (pattern !== undefined && !matches(pattern, given)) return { expected: `text like ${pattern}` };
  return given;
}

// Definitions are few; a view that goes takes its pattern with it at the next start.
const matchers = new Map<string, { readonly machine: RE2JS; readonly found: Set<string> }>();

/** The same keys are asked about again and again, and a pattern costs as much as the rest of a read from memory. */
function matches(pattern: string, key: string): boolean {
  let matcher = matchers.get(pattern);
  if (!matcher) matchers.set(pattern, (matcher = { machine: RE2JS.compile(pattern), found: new Set() }));
  const { machine, found } = matcher;
  if (found.has(key)) return true;
  if (!machine.matches(key)) return false;
  if (found.size >= FOUND_MAX) found.clear();
  found.add(key);
  return true;
}
