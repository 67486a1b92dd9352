import { opendir } from 'node:fs/promises';
import path from 'node:path';
import { readSmall } from '../package-files';
import type { PackageSource } from '../package-source';
import type { PackageLimits } from '../registry-options';
import type { StagedPackage } from '../staged-package';
import { claimedStatement } from './package-signature';
import { SIGNATURE_FILE, shownText } from './signature-fault';
import type { SignedStatement } from './signed-statement';

type SignatureLimits = Pick<PackageLimits, 'signatureBytes' | 'files'>;

const ENTRIES_MAX = 10_000;
const NAMED_MAX = 100;

/**
 * Takes the signature and every file that it names, so that what is stored is what was signed and any verifier of the format
 * finds it whole. Returns the names of files that lie beside them unsigned. None of this depends on a policy: the same folder
 * is the same package whoever asks for its signature.
 */
export async function takeSigned(
  source: PackageSource,
  staged: StagedPackage,
  limits: SignatureLimits,
): Promise<readonly string[]> {
  if (!(await staged.take(source.folder, SIGNATURE_FILE, SIGNATURE_FILE, limits.signatureBytes))) return [];
  const statement = await statementIn(staged.folder, limits);
  if (!statement) return [];
  for (const file of statement.files.keys()) if (file !== source.model) await staged.take(source.folder, file);
  return unsignedIn(source, staged, statement);
}

/** The files that the signature in a folder names, as far as it can be read; nothing of it is verified. */
export async function signedNames(folder: string, limits: SignatureLimits): Promise<readonly string[]> {
  return [...((await statementIn(folder, limits))?.files.keys() ?? [])];
}

async function statementIn(folder: string, limits: SignatureLimits): Promise<SignedStatement | undefined> {
  const bytes = await readSmall(folder, SIGNATURE_FILE, limits.signatureBytes);
  return bytes && claimedStatement(bytes, limits.files);
}

/** Files of the folder that are neither taken nor signed, but for those that the signer left out on purpose. */
async function unsignedIn(
  source: PackageSource,
  staged: StagedPackage,
  { files, ignoredPaths }: SignedStatement,
): Promise<string[]> {
  const unsigned: string[] = [];
  const folders = [''];
  let entries = 0;
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    // A folder that cannot be read may hold anything.
    const opened = await opendir(path.join(source.folder, folder)).catch(() => undefined);
    if (!opened) unsigned.push(shownText(folder));
    for await (const entry of opened ?? []) {
      if (++entries > ENTRIES_MAX) return [...unsigned, `more than ${ENTRIES_MAX} files`];
      const file = folder === '' ? entry.name : `${folder}/${entry.name}`;
      if (staged.has(file) || files.has(file) || file === source.model || isBelow(file, ignoredPaths)) continue;
      if (entry.isDirectory()) folders.push(file);
      else if (unsigned.length < NAMED_MAX) unsigned.push(shownText(file));
    }
  }
  return unsigned.sort();
}

function isBelow(file: string, ignoredPaths: readonly string[]): boolean {
  return ignoredPaths.some((ignored) => file === ignored || file.startsWith(`${ignored}/`));
}
