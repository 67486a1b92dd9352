import { quote } from '../fault-list';
import type { Inspection } from '../inspection';

/** One name, no separators: letters, digits and what exporters put between them. No `:` or `%`, no leading dot. */
const PLAIN_NAME = /^[\p{L}\p{N}_][\p{L}\p{N}\p{M} ._+=@()[\],-]*$/u;
const MAX_NAME_BYTES = 255;
const DECIMAL = /^\d{1,15}$/;

/** `checksum` is ignored by readers; anything else asks the runtime for something, such as weights packed in advance. */
const KEYS = new Set(['location', 'offset', 'length', 'checksum']);

interface External {
  /** What the dimensions declare; undefined for texts, which cannot lie outside. */
  readonly bytes: number | undefined;
  readonly inspection: Inspection;
  readonly pointer: string;
}

type Entries = readonly (readonly [string, string | undefined])[];

/** External data must be named so that it can only lie beside the model. Whether it does is checked on the disk. */
export function checkExternalData(entries: Entries, external: External): void {
  const { inspection, pointer, bytes } = external;
  const fields = checkKeys(entries, external);
  const location = fields.get('location') ?? '';
  if (!isPlainName(location)) {
    inspection.faults.add({
      pointer,
      expected: 'external data in a file beside the model, given by its plain name',
      received: quote(location),
      hint: "Save with onnx.save_model(model, 'model.onnx', save_as_external_data=True, location='model.data').",
    });
    return;
  }
  if (bytes === undefined) {
    inspection.faults.add({ pointer, expected: 'texts within the model file', received: 'texts as external data' });
    return;
  }
  const offset = numberOf(fields.get('offset') ?? '0');
  const length = numberOf(fields.get('length') ?? `${bytes}`);
  if (offset === undefined || length !== bytes) {
    inspection.faults.add({
      pointer,
      expected: 'offset and length of external data that agree with the dimensions',
      received: `offset ${quote(fields.get('offset') ?? '')}, length ${quote(fields.get('length') ?? '')}`,
      hint: `The dimensions declare ${bytes} bytes.`,
    });
    return;
  }
  note(location, offset + length, external);
}

/** Whether a location is the name of a file beside the model and nothing else. */
export function isPlainName(location: string): boolean {
  return (
    PLAIN_NAME.test(location) &&
    Buffer.byteLength(location) <= MAX_NAME_BYTES &&
    location === location.trim() &&
    !location.endsWith('.')
  );
}

function checkKeys(entries: Entries, { inspection, pointer }: External): ReadonlyMap<string, string> {
  const fields = new Map<string, string>();
  for (const [key, value] of entries) {
    if (!KEYS.has(key) || fields.has(key)) {
      inspection.faults.add({
        pointer,
        expected: 'external data with location, offset, length and checksum, each once',
        received: quote(key),
      });
    }
    fields.set(key, value ?? '');
  }
  return fields;
}

function numberOf(text: string): number | undefined {
  return DECIMAL.test(text) ? Number(text) : undefined;
}

function note(location: string, end: number, { inspection, pointer }: External): void {
  const { facts, limits } = inspection;
  const need = facts.externalFiles.get(location);
  if (need !== undefined) {
    need.end = Math.max(need.end, end);
    return;
  }
  if (facts.externalFiles.size >= limits.externalFiles) {
    inspection.stopAtLimit(
      `at most ${limits.externalFiles} files of external data`,
      `more than ${limits.externalFiles}`,
    );
  }
  inspection.retain(location.length + pointer.length);
  facts.externalFiles.set(location, { pointer, end });
}
