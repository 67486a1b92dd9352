import { DomainError, type FieldFault } from '@sibyl/kernel';

export type JsonObject = Readonly<Record<string, unknown>>;

/** A file of the package that is JSON could not be read as such. */
function unreadable(file: string, detail: string, cause?: unknown): DomainError {
  return new DomainError('model_rejected', `${file}: ${detail}`, {
    cause,
    faults: [{ pointer: `/${file}`, expected: 'a JSON object in UTF-8', received: detail }],
  });
}

/** Reads a JSON object from bytes of a stranger: valid UTF-8, bounded depth. Size is bounded by whoever read the bytes. */
export function parseJsonObject(bytes: Uint8Array, file: string, depthMax: number): JsonObject {
  let text: string;
  let value: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    throw unreadable(file, 'not valid UTF-8', error);
  }
  if (deeperThan(text, depthMax)) throw unreadable(file, `nested deeper than ${depthMax} levels`);
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw unreadable(file, 'not valid JSON', error);
  }
  if (!isObject(value)) throw unreadable(file, 'not a JSON object');
  return value;
}

/** The same, for a document that is written again: as JSON has no infinity, 1e400 would come back as null. */
export function parseFiniteObject(bytes: Uint8Array, file: string, depthMax: number): JsonObject {
  const object = parseJsonObject(bytes, file, depthMax);
  if (!isFiniteDeep(object)) throw unreadable(file, 'a number that is not finite');
  return object;
}

// Never deeper than the document was allowed to be.
function isFiniteDeep(value: unknown): boolean {
  if (typeof value === 'number') return Number.isFinite(value);
  return typeof value !== 'object' || value === null || Object.values(value).every(isFiniteDeep);
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** RFC 6901: a member behind a pointer. */
export function pointerTo(pointer: string, member: string | number): string {
  return `${pointer}/${String(member).slice(0, 100).replaceAll('~', '~0').replaceAll('/', '~1')}`;
}

/** A value as a fault may show it; manifests are public to whoever may read the model, so short strings are shown. */
function shown(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (isObject(value)) return 'an object';
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

// The parser itself does not care, but what walks the value later is recursive.
function deeperThan(text: string, depthMax: number): boolean {
  let depth = 0;
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (quoted) {
      if (code === BACKSLASH) i++;
      else if (code === QUOTE) quoted = false;
    } else if (code === QUOTE) quoted = true;
    else if (code === 0x5b || code === 0x7b) {
      if (++depth > depthMax) return true;
    } else if (code === 0x5d || code === 0x7d) depth--;
  }
  return false;
}

/** Collects the faults of a document, up to a limit, so that its owner learns all of them at once. */
export class FaultList {
  readonly faults: FieldFault[] = [];

  add(pointer: string, expected: string, received: unknown, hint?: string): void {
    if (this.faults.length >= FAULTS_MAX) return;
    this.faults.push({ pointer, expected, received: shown(received), ...(hint ? { hint } : {}) });
  }

  get none(): boolean {
    return this.faults.length === 0;
  }
}

const FAULTS_MAX = 100;
