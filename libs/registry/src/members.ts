import { FaultList, isObject, pointerTo, type JsonObject } from './json-document';

/** Typed access to the members of a JSON object: a member of the wrong type becomes a fault, `null` counts as left out. */
export class Members {
  constructor(
    private readonly object: JsonObject,
    readonly pointer: string,
    private readonly faults: FaultList,
  ) {}

  has(name: string): boolean {
    return Object.hasOwn(this.object, name) && this.object[name] !== null;
  }

  value(name: string): unknown {
    return this.has(name) ? this.object[name] : undefined;
  }

  fault(name: string, expected: string, hint?: string): undefined {
    this.faults.add(pointerTo(this.pointer, name), expected, this.value(name), hint);
    return undefined;
  }

  text(name: string, lengthMax: number): string | undefined {
    const value = this.value(name);
    if (value === undefined) return undefined;
    if (typeof value === 'string' && value.length <= lengthMax) return value;
    return this.fault(name, `a string of at most ${lengthMax} characters`);
  }

  /** What callers, answers and people tell things apart by. */
  name(name: string): string | undefined {
    const value = this.value(name);
    const text = typeof value === 'string' ? value : undefined;
    if (text === undefined || !isName(text)) this.fault(name, NAME_RULE);
    return text;
  }

  number(name: string): number | undefined {
    const value = this.value(name);
    if (value === undefined || typeof value === 'number') return value;
    return this.fault(name, 'a number');
  }

  flag(name: string): boolean | undefined {
    const value = this.value(name);
    if (value === undefined || typeof value === 'boolean') return value;
    return this.fault(name, 'true or false');
  }

  objectOf(name: string): JsonObject | undefined {
    const value = this.value(name);
    if (value === undefined || isObject(value)) return value;
    return this.fault(name, 'an object');
  }

  list(name: string, lengthMax: number): readonly unknown[] | undefined {
    const value = this.value(name);
    if (value === undefined) return undefined;
    if (Array.isArray(value) && value.length <= lengthMax) return value as unknown[];
    return this.fault(name, `an array of at most ${lengthMax} entries`);
  }

  /** The members of an inner object; undefined where it is absent or not an object. */
  inner(name: string): Members | undefined {
    const object = this.objectOf(name);
    return object && new Members(object, pointerTo(this.pointer, name), this.faults);
  }

  /** The entries of an array of objects; entries of another type become faults. */
  entries(name: string, lengthMax: number): readonly Members[] | undefined {
    const list = this.list(name, lengthMax);
    if (!list) return undefined;
    const pointer = pointerTo(this.pointer, name);
    return list.flatMap((entry, i) => {
      if (isObject(entry)) return [new Members(entry, pointerTo(pointer, i), this.faults)];
      this.faults.add(pointerTo(pointer, i), 'an object', entry);
      return [];
    });
  }

  /** An array of distinct strings. */
  names(name: string, lengthMax: number): readonly string[] | undefined {
    const list = this.list(name, lengthMax);
    if (!list) return undefined;
    const pointer = pointerTo(this.pointer, name);
    const seen = new Set<string>();
    list.forEach((entry, i) => {
      if (typeof entry !== 'string' || !isName(entry)) this.faults.add(pointerTo(pointer, i), NAME_RULE, entry);
      else if (seen.has(entry)) this.faults.add(pointerTo(pointer, i), 'a name that is not in the list yet', entry);
      if (typeof entry === 'string') seen.add(entry);
    });
    return [...seen];
  }
}

const CONTROL = /\p{Cc}/u;

/** A JSON object with a member __proto__ is not what it seems in JavaScript, nor is a name that moves the cursor. */
export function isName(text: string): boolean {
  return text.length > 0 && text.length <= NAME_MAX && text !== '__proto__' && !CONTROL.test(text);
}

/** Longest name of a tensor, a column, a feature or a class. */
export const NAME_MAX = 256;

const NAME_RULE = `a name of 1 to ${NAME_MAX} printable characters that is not __proto__`;
