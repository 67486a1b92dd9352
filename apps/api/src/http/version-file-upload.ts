import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { refuseEncoding } from './body';
import { boundedBody } from './bounded-body';
import { hashing } from './hashing';
import type { PackageUpload, UploadLimits } from './package-upload';

/** How the body lies in the folder of its upload: the ending says what it is. */
const FILE = 'version.sibyl';

/** Streams a body that is one version file into the folder of an upload. */
export async function receiveVersionFile(
  request: IncomingMessage,
  upload: PackageUpload,
  limits: UploadLimits,
): Promise<void> {
  refuseEncoding(request);
  const hash = createHash('sha256');
  const target = createWriteStream(path.join(upload.folder, FILE), { flags: 'wx', mode: 0o600 });
  await pipeline(boundedBody(request, limits), hashing(hash), target);
  upload.digests.set(FILE, hash.digest('hex'));
}
