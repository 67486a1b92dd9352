import type { FieldFault } from '@sibyl/kernel';
import { RE2JS } from 're2js';
import type { EntityRule } from '../definitions/feature-view';
import { requestFault, type Place } from '../request-fault';

const ENTITY_BYTES = 256;
/** Texts that were found to be keys, of one rule; past that all are forgotten and found again. */
const FOUND_MAX = 8192;

// The same keys are asked about again and again, and a pattern alone costs as much as the rest of a read from memory.
const found = new WeakMap<EntityRule, Set<string>>();

/** The key of an entity as it lies in the log, or what was expected of it. */
export function entityKey(rule: EntityRule, given: unknown): string | { readonly expected: string } {
  if (rule.type === 'int') {
    const number = typeof given === 'string' && /^-?\d{1,16}$/.test(given) ? Number(given) : given;
    if (typeof number !== 'number' || !Number.isSafeInteger(number)) return { expected: 'a whole number' };
    return String(number);
  }
  if (typeof given !== 'string' || given === '') return { expected: 'text' };
  let keys = found.get(rule);
  if (keys?.has(given) === true) return given;
  const expected = expectedOf(rule, given);
  if (expected !== undefined) return { expected };
  if (!keys || keys.size >= FOUND_MAX) found.set(rule, (keys = new Set()));
  keys.add(given);
  return given;
}

/** Keys by their names, as requests name entities: one for each rule, and nothing else. */
export function readKeys(rules: readonly EntityRule[], entity: unknown, at: Place, faults: FieldFault[]): string[] {
  if (!isRecord(entity)) {
    faults.push(requestFault(at(), `an object with the keys of the entity: ${namesOf(rules)}`, entity));
    return [];
  }
  const keys: string[] = [];
  for (const rule of rules) {
    const given = Object.hasOwn(entity, rule.name) ? entity[rule.name] : undefined;
    const key = entityKey(rule, given);
    if (typeof key === 'string') keys.push(key);
    else addOnce(faults, requestFault(at(rule.name), key.expected, given));
  }
  for (const name in entity) {
    if (rules.some((rule) => rule.name === name)) continue;
    faults.push({ pointer: at(name), expected: `one of ${namesOf(rules)}`, received: 'a key that does not exist' });
  }
  return keys;
}

/** Views of one entity all ask for the same. */
function addOnce(faults: FieldFault[], fault: FieldFault): void {
  if (!faults.some(({ pointer, expected }) => pointer === fault.pointer && expected === fault.expected))
    faults.push(fault);
}

/** The key of what has only one: by itself, or in an object by its name. */
export function readKey(rule: EntityRule, given: unknown, at: Place, faults: FieldFault[]): string {
  if (isRecord(given)) return readKeys([rule], given, at, faults)[0] ?? '';
  const key = entityKey(rule, given);
  if (typeof key === 'string') return key;
  faults.push(requestFault(at(), key.expected, given));
  return '';
}

function namesOf(rules: readonly EntityRule[]): string {
  return [...new Set(rules.map(({ name }) => name))].join(', ');
}

function isRecord(given: unknown): given is Record<string, unknown> {
  return typeof given === 'object' && given !== null && !Array.isArray(given);
}

/** What a text is not that is no key; undefined: it is one. */
function expectedOf({ pattern, maxLength }: EntityRule, given: string): string | undefined {
  if (given.length > maxLength || Buffer.byteLength(given) > ENTITY_BYTES)
    return `at most ${Math.min(maxLength, ENTITY_BYTES)} characters and ${ENTITY_BYTES} bytes`;
  if (given.includes('\0') || !given.isWellFormed()) return 'well-formed text';
  if (pattern !== undefined && !matcher(pattern).matches(given)) return `text like ${pattern}`;
  return undefined;
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
