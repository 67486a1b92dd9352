import { nearestWords } from '@sibyl/kernel';
import type { Micros } from '../time';
import { DefinitionFaults, pointerTo, shown } from './definition-faults';
import { DURATION_EXPECTED, DURATION_MAX, formatDuration, parseDuration } from './duration';

export type JsonObject = Readonly<Record<string, unknown>>;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export const NAME = /^[a-z][a-z0-9_]{0,62}$/;
export const NAME_EXPECTED = 'a name of 1 to 63 of a-z, 0-9 and _ that begins with a letter';
const TEXT_MAX = 1000;

interface NumberRange {
  readonly min?: number;
  readonly max?: number;
  readonly whole?: boolean;
}

/**
 * Typed access to the members of an object of a definition. A member of the wrong type becomes a fault, null counts as left out,
 * and `done` makes a fault of every member that nobody asked for.
 */
export class ObjectReader {
  private readonly known = new Set<string>();

  constructor(
    private readonly object: JsonObject,
    readonly pointer: string,
    private readonly faults: DefinitionFaults,
  ) {}

  at(name: string): string {
    return pointerTo(this.pointer, name);
  }

  /** The member as it is; undefined where it is left out or null. */
  value(name: string): unknown {
    this.known.add(name);
    return (Object.hasOwn(this.object, name) ? this.object[name] : undefined) ?? undefined;
  }

  has(name: string): boolean {
    return this.value(name) !== undefined;
  }

  fault(name: string, expected: string, hint?: string): undefined {
    return this.faults.add(this.at(name), {
      ...{ expected, received: shown(this.value(name)) },
      ...(hint === undefined ? {} : { hint }),
    });
  }

  required<T>(name: string, value: T | undefined, expected: string): T | undefined {
    if (value === undefined && !this.has(name)) this.fault(name, expected);
    return value;
  }

  text(name: string, max = TEXT_MAX): string | undefined {
    const value = this.value(name);
    if (value === undefined) return undefined;
    if (typeof value === 'string' && value.length <= max && value.isWellFormed()) return value;
    return this.fault(name, `text of at most ${max} characters`);
  }

  name(name: string): string | undefined {
    const value = this.value(name);
    if (value === undefined) return undefined;
    return typeof value === 'string' && NAME.test(value) ? value : this.fault(name, NAME_EXPECTED);
  }

  flag(name: string): boolean | undefined {
    const value = this.value(name);
    if (value === undefined || typeof value === 'boolean') return value;
    return this.fault(name, 'true or false');
  }

  number(name: string, { min = -Infinity, max = Infinity, whole = false }: NumberRange = {}): number | undefined {
    const value = this.value(name);
    if (value === undefined) return undefined;
    const fits = typeof value === 'number' && Number.isFinite(value) && value >= min && value <= max;
    if (fits && (!whole || Number.isSafeInteger(value))) return value + 0;
    const range = min === -Infinity ? '' : max === Infinity ? ` of at least ${min}` : ` from ${min} to ${max}`;
    return this.fault(name, `a ${whole ? 'whole' : 'finite'} number${range}`);
  }

  duration(name: string, min: Micros = 1): Micros | undefined {
    const value = this.value(name);
    if (value === undefined) return undefined;
    const micros = typeof value === 'string' ? parseDuration(value) : undefined;
    if (micros !== undefined && micros >= min && micros <= DURATION_MAX) return micros;
    // What can be read as a time is told the bounds.
    const bounds = `a time from ${formatDuration(min)} to ${formatDuration(DURATION_MAX)}`;
    return this.fault(name, micros === undefined ? DURATION_EXPECTED : bounds);
  }

  /** One of some words, or what else one of them is called; where `null` is one of them, YAML's null is that word too. */
  choice<T extends string>(
    name: string,
    words: readonly T[],
    synonyms: ReadonlyMap<string, T> = new Map(),
  ): T | undefined {
    this.known.add(name);
    const given: unknown = Object.hasOwn(this.object, name) ? this.object[name] : undefined;
    const value = given === null && (words as readonly string[]).includes('null') ? 'null' : (given ?? undefined);
    if (value === undefined) return undefined;
    const word = words.find((one) => one === value) ?? (typeof value === 'string' ? synonyms.get(value) : undefined);
    if (word !== undefined) return word;
    const near = typeof value === 'string' ? nearestWords(value, words)[0] : undefined;
    return this.fault(name, `one of ${words.join(', ')}`, near === undefined ? undefined : `did you mean '${near}'?`);
  }

  list(name: string, max: number): readonly unknown[] | undefined {
    const value = this.value(name);
    if (value === undefined) return undefined;
    if (Array.isArray(value) && value.length <= max) return value as unknown[];
    return this.fault(name, `a list of at most ${max}`);
  }

  inner(name: string): ObjectReader | undefined {
    const value = this.value(name);
    if (value === undefined) return undefined;
    return isObject(value) ? new ObjectReader(value, this.at(name), this.faults) : this.fault(name, 'an object');
  }

  /** The objects of a list; undefined stands for an entry that is none, so that places stay. */
  entries(name: string, max: number): readonly (ObjectReader | undefined)[] {
    return (this.list(name, max) ?? []).map((entry, i) => {
      const pointer = pointerTo(this.at(name), i);
      if (isObject(entry)) return new ObjectReader(entry, pointer, this.faults);
      return this.faults.add(pointer, { expected: 'an object', received: shown(entry) });
    });
  }

  /** Names and values of an object that is a map. */
  members(name: string, max: number): readonly (readonly [string, unknown])[] | undefined {
    const value = this.value(name);
    if (value === undefined) return undefined;
    if (isObject(value) && Object.keys(value).length <= max) return Object.entries(value);
    return this.fault(name, `an object of at most ${max} members`);
  }

  /** Every member that was not asked for is a fault, with the one that was meant: what `elsewhere` says of it, or one that is near. */
  done(elsewhere: ReadonlyMap<string, string> = new Map()): void {
    for (const name of Object.keys(this.object)) {
      if (this.known.has(name)) continue;
      const near = nearestWords(name, this.known)[0];
      const known = near === undefined ? `known are ${[...this.known].join(', ')}` : `did you mean '${near}'?`;
      this.faults.add(this.at(name), {
        received: 'a member that does not exist',
        hint: elsewhere.get(name) ?? known,
      });
    }
  }
}
