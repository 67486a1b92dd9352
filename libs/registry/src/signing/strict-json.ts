import { parseJsonObject, type JsonObject } from '../json-document';
import { badSignature, shownText } from './signature-fault';

const DEPTH_MAX = 12;

/**
 * Reads a JSON object that was signed: valid UTF-8, flat enough, and no member twice. Readers disagree on which of two members
 * counts, so that one text could say one thing to the signer's tool and another to us.
 */
export function parseStrictJson(bytes: Uint8Array, file: string): JsonObject {
  const value = parseJsonObject(bytes, file, DEPTH_MAX);
  const twice = duplicateMember(new TextDecoder().decode(bytes));
  if (twice !== undefined) throw badSignature('', 'each member once', `'${shownText(twice)}' twice in one object`);
  return value;
}

/** The first member name that an object of valid JSON has twice. */
function duplicateMember(text: string): string | undefined {
  const open: (Set<string> | undefined)[] = [];
  let last = '';
  for (let i = 0; i < text.length; i++) {
    const character = text[i];
    if (character === '"') {
      const end = closingQuote(text, i + 1);
      last = text.slice(i, end + 1);
      i = end;
    } else if (character === '{') open.push(new Set());
    else if (character === '[') open.push(undefined);
    else if (character === '}' || character === ']') open.pop();
    else if (character === ':') {
      // Two spellings of one name are one name.
      const name = JSON.parse(last) as string;
      const names = open[open.length - 1];
      if (names?.has(name)) return name;
      names?.add(name);
    }
  }
  return undefined;
}

function closingQuote(text: string, from: number): number {
  let at = text.indexOf('"', from);
  while (escaped(text, at)) at = text.indexOf('"', at + 1);
  return at;
}

/** Whether an odd number of backslashes stands before a character. */
function escaped(text: string, at: number): boolean {
  let before = at;
  while (text[before - 1] === '\\') before--;
  return (at - before) % 2 === 1;
}
