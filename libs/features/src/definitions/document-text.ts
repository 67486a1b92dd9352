import { DomainError } from '@sibyl/kernel';
import { CST, Lexer, isMap, isScalar, isSeq, parseAllDocuments, type Document } from 'yaml';

/** Bytes of a definition. */
export const DOCUMENT_MAX = 256 * 1024;
const DOCUMENTS_MAX = 32;
/** Brackets in brackets; what a definition needs is 6. */
const FLOW_DEPTH_MAX = 32;
/** Columns that a line may be indented, and marks of lists at the beginning of one: both are levels of blocks. */
const INDENT_MAX = 128;
const MARKS_MAX = 16;
/** Lexical tokens; the largest definition that keeps to the other limits has less than half. */
const TOKENS_MAX = 100_000;

/**
 * The documents of a text in YAML or JSON, which is YAML too, parted by `---`. Throws `invalid_definition`.
 *
 * Only what JSON has: aliases, with which a kilobyte becomes a gigabyte, tags, names that are not text, and members that are there
 * twice are refused.
 */
export function readDocuments(text: string): readonly unknown[] {
  if (Buffer.byteLength(text) > DOCUMENT_MAX) throw unreadable(`more than ${DOCUMENT_MAX / 1024} KiB`);
  scan(text);
  const documents = [...parseAllDocuments(text, { uniqueKeys: false, logLevel: 'silent' })] as Document.Parsed[];
  if (documents.length > DOCUMENTS_MAX) throw unreadable(`more than ${DOCUMENTS_MAX} documents`);
  const values = documents.map(({ contents, errors: [error] }) => {
    if (error) throw unreadable(error.message.split('\n')[0]?.replace(/:$/, '').slice(0, 200) ?? 'it cannot be read');
    return plain(contents, '');
  });
  return values.filter((value) => value !== null);
}

/**
 * Refuses what would cost too much to parse. The parser calls itself for every level, and where that ends the stack of the process
 * in the wrong place, the process ends: levels are counted before, on the tokens, which are found one after the other.
 */
function scan(text: string): void {
  let [tokens, depth, marks] = [0, 0, 0];
  let lineBegins = true;
  for (const token of new Lexer().lex(text)) {
    const type = CST.tokenType(token) ?? '';
    if (++tokens > TOKENS_MAX) throw unreadable('too many parts');
    const refused = REFUSED.get(type);
    if (refused !== undefined) throw unreadable(refused);
    if (type === 'space' && lineBegins && token.length > INDENT_MAX) throw unreadable('indented too deeply');
    depth += FLOWS.get(type) ?? 0;
    if (MARKS.has(type)) marks++;
    else if (type === 'newline') marks = 0;
    if (depth > FLOW_DEPTH_MAX || marks > MARKS_MAX) throw unreadable('nested too deeply');
    lineBegins = type === 'newline';
  }
}

const REFUSED: ReadonlyMap<string, string> = new Map([
  ['anchor', 'anchors and aliases are refused'],
  ['alias', 'anchors and aliases are refused'],
  ['tag', 'tags are refused'],
]);

/** How brackets change the level. */
const FLOWS: ReadonlyMap<string, number> = new Map([
  ['flow-map-start', 1],
  ['flow-seq-start', 1],
  ['flow-map-end', -1],
  ['flow-seq-end', -1],
]);

const MARKS: ReadonlySet<string> = new Set(['seq-item-ind', 'explicit-key-ind']);

/** Values as JSON has them, without what a prototype could add. */
function plain(node: unknown, path: string): unknown {
  if (isScalar(node)) return Object.is(node.value, -0) ? 0 : node.value;
  if (isSeq(node)) return node.items.map((item) => plain(item, path));
  if (!isMap(node)) return null;
  const made: Record<string, unknown> = {};
  for (const { key, value } of node.items) {
    const name: unknown = isScalar(key) ? key.value : undefined;
    if (typeof name !== 'string') throw unreadable(`${path || 'a member'} has a name that is no text`);
    const inner = `${path}/${name.slice(0, 64)}`;
    if (Object.hasOwn(made, name)) throw unreadable(`${inner} is there twice`);
    // `made[name] = ...` would set the prototype where the name is `__proto__`.
    Object.defineProperty(made, name, { value: plain(value, inner), enumerable: true });
  }
  return made;
}

function unreadable(detail: string): DomainError {
  return new DomainError('invalid_definition', `The definition is no YAML or JSON that can be read: ${detail}.`, {
    faults: [{ pointer: '', expected: 'one object in YAML or JSON', received: detail }],
  });
}
