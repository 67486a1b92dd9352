/*
 * Arrays as PostgreSQL reads them (https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO). The driver writes them too,
 * but value by value, which takes longer than the statement.
 */

/** Of numbers, booleans and UUIDs, of which nothing needs quotes; undefined is NULL. */
export function plainArray(values: readonly (number | boolean | string | undefined)[]): string {
  return `{${values.map((value) => value ?? 'NULL').join()}}`;
}

export function textArray(values: readonly (string | undefined)[]): string {
  return `{${values.map((value) => (value === undefined ? 'NULL' : quoted(value))).join()}}`;
}

const SPECIAL = /["\\]/g;

function quoted(text: string): string {
  return `"${text.replace(SPECIAL, '\\$&')}"`;
}
