import { createWriteStream } from 'node:fs';
import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { boundedBody } from './bounded-body';
import { hashing } from './hashing';
import { holdBody } from './held-file';
import type { PackageUpload, UploadLimits } from './package-upload';

const FILE = 'body';

/**
 * Takes in a body that its route reads by itself, and lets the route read it from there: only whole bodies can be told apart before
 * anything is done for one of them.
 */
export async function receiveBody(
  request: IncomingMessage,
  upload: PackageUpload,
  limits: UploadLimits,
): Promise<void> {
  const hash = createHash('sha256');
  const file = path.join(upload.folder, FILE);
  const target = createWriteStream(file, { flags: 'wx', mode: 0o600 });
  await pipeline(boundedBody(request, limits), hashing(hash), target);
  // What the query says is asked too.
  upload.digests.set(request.url?.split('?')[1] ?? '', hash.digest('hex'));
  holdBody(request, file);
}
