import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { Worker } from 'node:worker_threads';

interface FileDigest {
  readonly sha256: string;
  readonly bytes: number;
}

interface DigestWork {
  /** Where the bytes are written to on the way. */
  readonly copyTo?: FileHandle;
  /** Past so many bytes it stops; then `bytes` is more than the limit. */
  readonly limitBytes?: number;
}

const CHUNK_BYTES = 1024 * 1024;
/** Below it the main thread is done sooner than a thread has started: 4 MiB hash in 3 ms. */
const OWN_THREAD_BYTES = 4 * CHUNK_BYTES;

/**
 * The SHA-256 of a file from its beginning, and on the way its copy. A large one is read by a thread of its own that yields to
 * all others: hashing 400 MB takes a third of a second of a core. What it writes goes to the disk in small parts, because
 * the fsyncs of others, those of the audit log for one, would wait for all of it.
 */
export async function digestFile(source: FileHandle, work: DigestWork = {}): Promise<FileDigest> {
  const { size } = await source.stat();
  return size < OWN_THREAD_BYTES ? digestHere(source, work) : digestInThread(source, work);
}

async function digestHere(source: FileHandle, { copyTo, limitBytes = Infinity }: DigestWork): Promise<FileDigest> {
  const hash = createHash('sha256');
  const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
  let bytes = 0;
  for (;;) {
    const { bytesRead } = await source.read(chunk, 0, CHUNK_BYTES, bytes);
    if (bytesRead > 0) bytes += bytesRead;
    if (bytesRead === 0 || bytes > limitBytes) return { sha256: hash.digest('hex'), bytes };
    const part = chunk.subarray(0, bytesRead);
    hash.update(part);
    await copyTo?.writeFile(part);
  }
}

function digestInThread(source: FileHandle, { copyTo, limitBytes = Infinity }: DigestWork): Promise<FileDigest> {
  return new Promise((resolve, reject) => {
    const workerData = { from: source.fd, to: copyTo?.fd, limitBytes, chunkBytes: CHUNK_BYTES };
    const worker = new Worker(THREAD, { eval: true, workerData, env: {} });
    worker.once('message', resolve);
    worker.once('error', reject);
    // After a message or an error this changes nothing any more.
    worker.once('exit', (code) => reject(new Error(`the thread that hashed a file ended with ${code}`)));
  });
}

/** As text: a thread starts from a file, and which one that is differs between the built tree and the tests. */
const THREAD = `
const { createHash } = require('node:crypto');
const { fdatasyncSync, readSync, writeSync } = require('node:fs');
const { setPriority } = require('node:os');
const { parentPort, workerData } = require('node:worker_threads');
const { from, to, limitBytes, chunkBytes } = workerData;
const SYNC_CHUNKS = 8;
// Of this thread only, on Linux; elsewhere of the process, which must not yield.
if (process.platform === 'linux') setPriority(10);
const hash = createHash('sha256');
const chunk = Buffer.allocUnsafe(chunkBytes);
let bytes = 0;
for (let chunks = 1; ; chunks++) {
  const length = readSync(from, chunk, 0, chunkBytes, bytes);
  bytes += length;
  if (length === 0 || bytes > limitBytes) break;
  hash.update(chunk.subarray(0, length));
  if (to === undefined) continue;
  for (let at = 0; at < length;) at += writeSync(to, chunk, at, length - at);
  if (chunks % SYNC_CHUNKS === 0) fdatasyncSync(to);
}
parentPort.postMessage({ sha256: hash.digest('hex'), bytes });
`;
