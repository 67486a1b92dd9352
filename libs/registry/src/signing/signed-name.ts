import { createHash } from 'node:crypto';
import { parseFiniteObject } from '../json-document';
import { MANIFEST_FILE } from '../manifest-reader';
import type { PackageFile } from '../package-digest';
import { shownText, signatureRefused } from './signature-fault';

export interface SignedManifest {
  readonly bytes: Uint8Array | undefined;
  readonly files: readonly PackageFile[];
  readonly depthMax: number;
}

/**
 * Refuses a package whose signed files do not say which model they are: whoever may register could give the bytes that were signed as
 * one model to the callers of another. The name beside a package, in a request, is nobody's signature.
 */
export function requireSignedName(model: string, { bytes, files, depthMax }: SignedManifest): void {
  const file = files.find(({ path }) => path === MANIFEST_FILE);
  const signed = bytes && file?.sha256 === createHash('sha256').update(bytes).digest('hex') ? bytes : undefined;
  const name = signed && parseFiniteObject(signed, MANIFEST_FILE, depthMax)['name'];
  if (name === model) return;
  throw signatureRefused(
    `The policy requires a signature, and the signed files do not say that they are the model '${model}'.`,
    [
      {
        pointer: `/${MANIFEST_FILE}/name`,
        expected: model,
        received: signed ? shownText(name) : 'no such file',
        hint: `Put a ${MANIFEST_FILE} with the name of the model into the package and sign it anew.`,
      },
    ],
  );
}
