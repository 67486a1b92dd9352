import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { finished, pipeline } from 'node:stream/promises';
import busboy, { type Busboy } from 'busboy';
import { DomainError, isStorageFull, storageFull } from '@sibyl/kernel';
import { packagePath, parentsOf } from '@sibyl/registry';
import { refuseEncoding, tooLarge, tooSlow } from './body';

export interface UploadLimits {
  readonly bytes: number;
  readonly parts: number;
  readonly timeoutMs: number;
}

/** Longest text field; the only one is a version. */
const FIELD_BYTES = 1024;
const HEADER_PAIRS = 32;
/** What busboy says of a part's header that it cannot read; a test notices when it says something else. */
const MALFORMED_HEADER = 'Malformed part header';

/** A package as it came: its files in a folder of their own until somebody has taken or discarded them. */
export class PackageUpload {
  readonly fields = new Map<string, string>();
  readonly digests = new Map<string, string>();
  /** Whoever claims an upload discards it when done; an unclaimed one goes with its request. */
  claimed = false;

  constructor(
    readonly folder: string,
    /** Gives the folder back with all that is in it. */
    readonly discard: () => Promise<void>,
  ) {}

  /** The same for the same files and fields, whatever the order and the boundary were. */
  fingerprint(): string {
    const lines = [...this.digests, ...this.fields].map(
      ([name, value]) => `${JSON.stringify(name)} ${JSON.stringify(value)}`,
    );
    return createHash('sha256').update(lines.sort().join('\n')).digest('hex');
  }
}

/** Streams the parts of a multipart body into the folder of an upload; nothing is held in memory. */
export async function receivePackage(
  request: IncomingMessage,
  upload: PackageUpload,
  limits: UploadLimits,
): Promise<void> {
  refuseEncoding(request);
  if (Number(request.headers['content-length'] ?? 0) > limits.bytes) throw tooLarge(limits.bytes);
  await new Reception(upload, limits).run(request);
}

/** One multipart body on its way to disk. */
class Reception {
  private readonly writes: Promise<void>[] = [];
  private fault: DomainError | undefined;
  private bytes = 0;

  constructor(
    private readonly upload: PackageUpload,
    private readonly limits: UploadLimits,
  ) {}

  async run(request: IncomingMessage): Promise<void> {
    const parser = this.parserFor(request);
    const timer = setTimeout(() => parser.destroy(tooSlow(this.limits.timeoutMs)), this.limits.timeoutMs);
    // A request closes when it has ended, too; only one that closes before is cut off.
    const hungUp = (): void => void (request.complete || parser.destroy(incomplete()));
    request.once('close', hungUp);
    request.pipe(parser);
    try {
      await finished(parser);
    } catch (error) {
      throw this.fault ?? asUploadError(error);
    } finally {
      clearTimeout(timer);
      request.off('close', hungUp);
      request.unpipe(parser);
      await Promise.allSettled(this.writes);
    }
    if (this.fault !== undefined) throw this.fault;
    await Promise.all(this.writes);
    if (this.upload.digests.size === 0) throw new DomainError('invalid_parameter', 'The package has no files.');
  }

  private parserFor(request: IncomingMessage): Busboy {
    const { parts } = this.limits;
    let parser: Busboy;
    try {
      parser = busboy({
        headers: request.headers,
        preservePath: true,
        defParamCharset: 'utf8',
        limits: {
          files: parts,
          fields: 16,
          parts: parts + 16,
          fieldSize: FIELD_BYTES,
          // One more than is allowed: busboy calls a file too large that only reaches the limit.
          fileSize: this.limits.bytes + 1,
          headerPairs: HEADER_PAIRS,
        },
      });
    } catch (cause) {
      throw new DomainError('unsupported_media_type', 'The multipart body has no boundary.', { cause });
    }
    const stop = (error: DomainError): void => {
      this.fault ??= error;
      // Not at once: busboy goes on in the middle of what it was doing, and trips over parts of itself that are gone.
      process.nextTick(() => parser.destroy(error));
    };
    parser.on('file', (_field, stream, part) => this.file(stream, part.filename ?? '', stop));
    parser.on('field', (name, value, part) => this.field(name, value, part.valueTruncated, stop));
    parser.on('filesLimit', () => stop(new DomainError('invalid_parameter', `A package may have ${parts} files.`)));
    parser.on('fieldsLimit', () => stop(new DomainError('invalid_parameter', 'The body has too many fields.')));
    parser.on('partsLimit', () => stop(new DomainError('invalid_parameter', 'The body has too many parts.')));
    return parser;
  }

  private file(stream: Readable, name: string, stop: (error: DomainError) => void): void {
    // Kept apart from the parser: a file may fail before anybody looks, and must not end the process.
    stream.on('error', () => undefined);
    // The parser would cut the file off there and go on as if it were whole.
    stream.on('limit', () => stop(tooLarge(this.limits.bytes)));
    const target = this.targetOf(name);
    if (target instanceof DomainError) {
      stream.resume();
      stop(target);
      return;
    }
    const write = this.write(stream, name, target, stop);
    write.catch((error: unknown) => stop(asUploadError(error)));
    this.writes.push(write);
  }

  private targetOf(name: string): string | DomainError {
    try {
      const relative = packagePath(name);
      if (this.upload.digests.has(relative)) return duplicate(relative);
      if (this.isFolder(relative) || parentsOf(relative).some((parent) => this.upload.digests.has(parent)))
        return both(relative);
      this.upload.digests.set(relative, '');
      return path.join(this.upload.folder, relative);
    } catch (error) {
      return asUploadError(error);
    }
  }

  private isFolder(name: string): boolean {
    return [...this.upload.digests.keys()].some((other) => other.startsWith(`${name}/`));
  }

  private async write(
    stream: Readable,
    name: string,
    target: string,
    stop: (error: DomainError) => void,
  ): Promise<void> {
    const hash = createHash('sha256');
    stream.on('data', (chunk: Buffer) => {
      hash.update(chunk);
      this.bytes += chunk.length;
      if (this.bytes > this.limits.bytes) stop(tooLarge(this.limits.bytes));
    });
    stream.pause();
    await mkdir(path.dirname(target), { recursive: true, mode: 0o700 });
    await pipeline(stream, createWriteStream(target, { flags: 'wx', mode: 0o600 }));
    this.upload.digests.set(name, hash.digest('hex'));
  }

  private field(name: string, value: string, truncated: boolean, stop: (error: DomainError) => void): void {
    if (truncated) stop(new DomainError('invalid_parameter', `A text field may have ${FIELD_BYTES} bytes.`));
    else if (this.upload.fields.has(name)) stop(duplicate(name));
    else this.upload.fields.set(name, value);
  }
}

function duplicate(name: string): DomainError {
  return new DomainError('invalid_parameter', 'Two parts of the body have the same name.', {
    faults: [{ pointer: `/${name}`, expected: 'every file and field once' }],
  });
}

function both(name: string): DomainError {
  return new DomainError('invalid_parameter', 'A name cannot be a file and a folder.', {
    faults: [{ pointer: `/${name}`, expected: 'no file where another part has a folder' }],
  });
}

function incomplete(): DomainError {
  return new DomainError('invalid_parameter', 'The multipart body ended before it was complete.');
}

function asUploadError(error: unknown): DomainError {
  if (error instanceof DomainError) return error;
  // busboy speaks plain English and quotes nothing, but its words are no contract of ours.
  const fromParser = error instanceof Error && !('syscall' in error);
  if (fromParser && error.message === MALFORMED_HEADER)
    return new DomainError('invalid_parameter', 'A part of the multipart body has a header that cannot be read.', {
      faults: [
        {
          pointer: '/',
          expected: 'headers of printable characters, so no control character in the name of a file',
        },
      ],
      cause: error,
    });
  if (fromParser)
    return new DomainError('invalid_parameter', 'The body is not a complete multipart body.', { cause: error });
  if (isStorageFull(error)) return storageFull(error);
  return new DomainError('internal_error', 'The package could not be stored.', { cause: error });
}
