/**
 * What one evaluation may spend on work whose cost depends on its values: on text. Units are about a nanosecond. Counted and not
 * timed, so that an expression comes to the same answer on every machine and at every load. What does not depend on values is
 * bounded by the limits on the expression itself. Code that never ran before takes some ten times longer: hence so little of it.
 */
const FUEL = 250_000;

/** Longest text that an expression may make; those that come in are no longer either. */
export const TEXT_MAX = 4096;

// One for the process: an evaluation never waits, so that no two are under way at once.
let left = 0;

export function refuel(): void {
  left = FUEL;
}

/** False once the fuel is used up: what cost too much has no answer. */
export function spend(units: number): boolean {
  return (left -= units) >= 0;
}
