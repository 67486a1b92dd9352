import { realpath } from 'node:fs/promises';
import path from 'node:path';

/** Characters of what the runtime said that are repeated. */
const SHOWN = 300;
/** Where the runtime itself was built. */
const SOURCES = /(?:\/[\w.@+-]+)*\/onnxruntime\/(?:core|contrib_ops)\/\S*/g;
/** Names of nodes look like paths too, and are what is looked for: only what begins as paths of a machine do is one. */
const MACHINE =
  /(?<![\w./])\/(?:bin|dev|etc|home|lib\d*|media|mnt|opt|private|proc|root|run|srv|sys|tmp|usr|var)\/[^\s'"():]*/g;

/** What the runtime says of a model, for whoever brought it: in bounds, on one line, and without the paths of this machine. */
export async function runtimeWords(message: string, file: string): Promise<string> {
  const folder = path.dirname(file);
  const real = await realpath(folder).catch(() => folder);
  const known = [folder, real].filter((one) => one !== path.sep);
  const bare = known.reduce((text, one) => text.replaceAll(`${one}${path.sep}`, ''), message);
  const words = bare
    .replace(SOURCES, '')
    .replace(MACHINE, '…')
    .replace(/[\p{Cc}\s]+/gu, ' ')
    .trim();
  return words.length > SHOWN ? `${words.slice(0, SHOWN)}…` : words;
}
