/** Microseconds since 1970 UTC, as PostgreSQL keeps them: whole, and exact in a double until the year 2255. */
export type Micros = number;

export const MICROS_PER_MS = 1000;
export const MICROS_PER_SECOND = 1_000_000;
