import { isDatatype, type Datatype } from '@sibyl/protocol';
import type { Members } from './members';

type Defined<T> = { [K in keyof T as undefined extends T[K] ? never : K]: T[K] } & {
  [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>;
};

/** The object without the members that are undefined, as exact optional properties want it. */
export function definedOnly<T extends object>(object: T): Defined<T> {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as Defined<T>;
}

/** The member `datatype`, a name of the Open Inference Protocol. */
export function datatypeOf(members: Members): Datatype | undefined {
  const word = members.value('datatype');
  if (word === undefined || isDatatype(word)) return word;
  return members.fault('datatype', 'a datatype such as FP32, INT64 or BYTES');
}
