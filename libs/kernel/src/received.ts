/** What came, for a fault, without repeating it: a value may be anything, a secret in the wrong place included. */
export function received(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  return typeof value === 'string' ? `text of ${value.length} characters` : 'an object';
}
