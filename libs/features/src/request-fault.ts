import { received, type FieldFault } from '@sibyl/kernel';
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
