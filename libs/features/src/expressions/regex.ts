import { RE2JS } from 're2js';

/** Longer patterns, and repeats that unroll to larger programs, are not compiled. */
export const PATTERN_MAX = 256;
const PROGRAM_MAX = 1024;

/** A regular expression whose search takes time in proportion to text × program, whatever the pattern is. */
export interface Regex {
  /** Searched in the text unless anchored. */
  readonly test: (text: string) => boolean;
  /** Instructions of the compiled pattern. */
  readonly size: number;
}

/** Throws an error whose message is for the author of the pattern. */
export function compileRegex(pattern: string, programMax = PROGRAM_MAX): Regex {
  if (pattern.length > PATTERN_MAX) throw new Error(`the pattern has more than ${PATTERN_MAX} characters`);
  let regex: RE2JS;
  try {
    regex = RE2JS.compile(pattern);
  } catch (error) {
    throw new Error(
      `not a regular expression of RE2: ${error instanceof Error ? error.message : 'it cannot be read'}`,
      {
        cause: error,
      },
    );
  }
  const size = regex.programSize();
  if (size > programMax) throw new Error(`the pattern unrolls to ${size} steps, more than ${programMax}`);
  // The tables of its automaton are made while it searches: the first of them here, and not by the first value.
  regex.test(pattern);
  return { test: (text) => regex.test(text), size };
}
