import path from 'node:path';
import { nearestWords } from '@sibyl/kernel';

export const ENVIRONMENTS = ['development', 'testing', 'staging', 'production'] as const;
export type Environment = (typeof ENVIRONMENTS)[number];

/** What defaults may depend on. */
export interface Surroundings {
  readonly environment: Environment;
  readonly dataDir: string;
  readonly workers: number;
}

/** One variable: how it is read, what stands in for it, and what the documentation says of it. */
export interface Setting<T> {
  readonly name: string;
  /** A name of earlier servers that is read when `name` is unset. */
  readonly older?: string;
  /** What a value looks like, for people. */
  readonly type: string;
  readonly meaning: string;
  /** The default as the documentation shows it. */
  readonly shown: string;
  readonly fallback: (surroundings: Surroundings) => T;
  /** Throws an Error that says what was expected. */
  readonly parse: (text: string) => T;
  /** Why production refuses this value; undefined when it does not. */
  readonly unsafe?: (value: T) => string | undefined;
}

/** What every setting says, whatever its type. */
interface Facts<T> {
  readonly name: string;
  readonly older?: string;
  readonly meaning: string;
  /** A value, or a function where the default depends on other settings; then `shown` says how. */
  readonly fallback: T | ((surroundings: Surroundings) => T);
  readonly shown?: string;
  readonly unsafe?: (value: T) => string | undefined;
}

function setting<T>(facts: Facts<T>, type: string, parse: (text: string) => T): Setting<T> {
  const { fallback, shown, ...rest } = facts;
  const given = typeof fallback === 'function' ? (fallback as (surroundings: Surroundings) => T) : () => fallback;
  return { ...rest, type, shown: shown ?? textOf(fallback), fallback: given, parse };
}

function textOf(value: unknown): string {
  if (Array.isArray(value)) return value.join(',');
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? String(value) : '';
}

/** A whole number between two limits, both allowed. */
export function whole(facts: Facts<number> & { readonly min: number; readonly max: number }): Setting<number> {
  const { min, max, ...rest } = facts;
  return setting(rest, `whole number, ${min} to ${max}`, (given) => {
    const value = /^-?\d{1,16}$/.test(given) ? Number(given) : Number.NaN;
    if (!(value >= min && value <= max)) throw new Error(`a whole number from ${min} to ${max}`);
    return value;
  });
}

const UNITS: Readonly<Record<string, number>> = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 };

/** Bytes, with or without a unit: `536870912`, `512MiB`. */
export function bytes(facts: Facts<number> & { readonly min: number }): Setting<number> {
  const { min, ...rest } = facts;
  return setting(rest, 'bytes, or with KiB, MiB or GiB', (given) => {
    const [, digits, unit = 'B'] = /^(\d{1,15})(B|KiB|MiB|GiB)?$/.exec(given) ?? [];
    const value = Number(digits) * (UNITS[unit] ?? Number.NaN);
    if (!(value >= min && Number.isSafeInteger(value))) throw new Error(`a size like 512MiB, from ${min} bytes`);
    return value;
  });
}

/** One of a few words. */
export function choice<const T extends string>(facts: Facts<T> & { readonly of: readonly T[] }): Setting<T> {
  const { of, ...rest } = facts;
  return setting(rest, of.join(', '), (given) => {
    const found = of.find((word) => word === given);
    if (found !== undefined) return found;
    const near = nearestWords(given, of)[0];
    throw new Error(`one of ${of.join(', ')}${near === undefined ? '' : ` (did you mean ${near}?)`}`);
  });
}

/** Text as it is, checked by a pattern where one is given. */
export function text(facts: Facts<string> & { readonly pattern?: RegExp; readonly type: string }): Setting<string> {
  const { pattern, type, ...rest } = facts;
  return setting(rest, type, (value) => checked(value, pattern, type));
}

/** The same for a value that may be absent. */
export function optionalText(
  facts: Facts<string | undefined> & { readonly pattern?: RegExp; readonly type: string },
): Setting<string | undefined> {
  const { pattern, type, ...rest } = facts;
  return setting(rest, type, (value) => checked(value, pattern, type));
}

/** Comma-separated values; an empty text is an empty list. */
export function list(
  facts: Facts<readonly string[]> & { readonly pattern?: RegExp; readonly type: string },
): Setting<readonly string[]> {
  const { pattern, type, ...rest } = facts;
  return setting(rest, `comma-separated: ${type}`, (value) => {
    const parts = value.split(',').map((part) => part.trim());
    return parts.filter((part) => part !== '').map((part) => checked(part, pattern, type));
  });
}

/** `true` or `false`. */
export function flag(facts: Facts<boolean>): Setting<boolean> {
  return setting(facts, 'true or false', (value) => {
    if (value !== 'true' && value !== 'false') throw new Error('true or false');
    return value === 'true';
  });
}

/** A folder, made absolute from where the server was started. */
export function folder(facts: Facts<string>): Setting<string> {
  return setting(facts, 'folder', (value) => path.resolve(value));
}

export function folders(facts: Facts<readonly string[]>): Setting<readonly string[]> {
  return setting(facts, 'comma-separated: folders', (value) =>
    value
      .split(',')
      .map((part) => part.trim())
      .filter((part) => part !== '')
      .map((part) => path.resolve(part)),
  );
}

function checked(value: string, pattern: RegExp | undefined, type: string): string {
  if (pattern !== undefined && !pattern.test(value)) throw new Error(type);
  return value;
}
