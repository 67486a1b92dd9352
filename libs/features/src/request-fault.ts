import type { FieldFault } from '@sibyl/kernel';
import { pointerTo } from './definitions/definition-faults';

/** Where an object of a request stands, or a member of it: asked for where something is wrong with it. */
export type Place = (member?: string) => string;

export function placeOf(pointer: string): Place {
  return (member) => (member === undefined ? pointer : pointerTo(pointer, member));
}

/** What is wrong with a value of a request. */
export function requestFault(pointer: string, expected: string, given: unknown): FieldFault {
  return { pointer, expected, received: received(given) };
}

/** What came, without repeating it: a value may be anything, a secret in the wrong place included. */
export function received(given: unknown): string {
  if (given === undefined) return 'nothing';
  if (given === null) return 'null';
  if (Array.isArray(given)) return `an array of ${given.length}`;
  if (typeof given === 'number' || typeof given === 'boolean') return String(given);
  return typeof given === 'string' ? `text of ${given.length} characters` : 'an object';
}
