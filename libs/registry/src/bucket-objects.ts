import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import type { CompletedPart, S3Client } from '@aws-sdk/client-s3';
import { DomainError } from '@sibyl/kernel';
import { awsSdk } from './sources/aws-sdk';

/** One request with its answer: a part of 16 MiB at 280 kB/s. */
const REQUEST_MS = 60_000;
const KEYS_AT_ONCE = 1000;

type Call<T> = (options: { readonly abortSignal: AbortSignal }) => Promise<T>;

/** Objects of one bucket. Each request has its time; whatever goes wrong with one is source_unavailable. */
export class BucketObjects {
  private readonly sdk = awsSdk();

  constructor(
    readonly client: S3Client,
    readonly bucket: string,
  ) {}

  async has(key: string): Promise<boolean> {
    const command = new this.sdk.HeadObjectCommand(this.at(key));
    return (await this.send((options) => orMissing(this.client.send(command, options)))) !== undefined;
  }

  /** Bytes of every object whose key begins with `prefix`, by key. */
  async sizes(prefix: string, signal: AbortSignal): Promise<Map<string, number>> {
    const sizes = new Map<string, number>();
    let token: string | undefined;
    do {
      const command = new this.sdk.ListObjectsV2Command({
        Bucket: this.bucket,
        Prefix: prefix,
        ContinuationToken: token,
      });
      const page = await this.send((options) => this.client.send(command, options), signal);
      for (const { Key, Size = 0 } of page.Contents ?? []) if (Key?.startsWith(prefix) === true) sizes.set(Key, Size);
      token = page.NextContinuationToken;
    } while (token !== undefined);
    return sizes;
  }

  /** A small object whole; undefined where there is none. */
  read(key: string, bytesMax: number, signal: AbortSignal): Promise<Buffer | undefined> {
    return this.send(async (options) => {
      const answer = await orMissing(this.client.send(new this.sdk.GetObjectCommand(this.at(key)), options));
      return answer && readAtMost(answer.Body as Readable, bytesMax, key);
    }, signal);
  }

  async put(key: string, bytes: Buffer, signal: AbortSignal): Promise<void> {
    const command = new this.sdk.PutObjectCommand({ ...this.at(key), Body: bytes, ...checksum(bytes) });
    await this.send((options) => this.client.send(command, options), signal);
  }

  /** Makes one object of several parts; what `parts` throws leaves none. */
  async putParts(key: string, parts: AsyncIterable<Buffer>, signal: AbortSignal): Promise<void> {
    const target = this.at(key);
    const create = new this.sdk.CreateMultipartUploadCommand({ ...target, ChecksumAlgorithm: 'SHA256' });
    const { UploadId } = await this.send((options) => this.client.send(create, options), signal);
    try {
      const done: CompletedPart[] = [];
      for await (const bytes of parts) {
        const part = { PartNumber: done.length + 1, ...checksum(bytes) };
        const command = new this.sdk.UploadPartCommand({ ...target, UploadId, ...part, Body: bytes });
        const { ETag } = await this.send((options) => this.client.send(command, options), signal);
        done.push({ ...part, ETag });
      }
      const complete = new this.sdk.CompleteMultipartUploadCommand({
        ...target,
        UploadId,
        MultipartUpload: { Parts: done },
      });
      await this.send((options) => this.client.send(complete, options), signal);
    } catch (error) {
      const abort = new this.sdk.AbortMultipartUploadCommand({ ...target, UploadId });
      await this.send((options) => this.client.send(abort, options)).catch(() => undefined);
      throw error;
    }
  }

  /** Removes objects; those that are not there are none the less gone. */
  async remove(keys: readonly string[], signal: AbortSignal): Promise<void> {
    for (let i = 0; i < keys.length; i += KEYS_AT_ONCE) {
      const Objects = keys.slice(i, i + KEYS_AT_ONCE).map((Key) => ({ Key }));
      const command = new this.sdk.DeleteObjectsCommand({ Bucket: this.bucket, Delete: { Objects, Quiet: true } });
      const { Errors: [first] = [] } = await this.send((options) => this.client.send(command, options), signal);
      if (first) throw unavailable(new Error(`${first.Key}: ${first.Code}`));
    }
  }

  private async send<T>(call: Call<T>, signal?: AbortSignal): Promise<T> {
    try {
      return await call({ abortSignal: inTime(signal) });
    } catch (error) {
      throw unavailable(error);
    }
  }

  private at(key: string): { readonly Bucket: string; readonly Key: string } {
    return { Bucket: this.bucket, Key: key };
  }
}

/** The time of one request. */
export function inTime(signal?: AbortSignal): AbortSignal {
  const late = AbortSignal.timeout(REQUEST_MS);
  return signal ? AbortSignal.any([signal, late]) : late;
}

export function damaged(what: string): Error {
  return new Error(`artifact_corrupt: ${what} in the bucket is not what was stored`);
}

export function unavailable(cause: unknown): DomainError {
  return new DomainError('source_unavailable', 'The bucket that keeps the packages does not answer, or refuses.', {
    cause,
    retryAfterSeconds: 10,
  });
}

async function orMissing<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    // A bucket that is not there is another matter than an object.
    const missing = error instanceof awsSdk().S3ServiceException && error.$metadata.httpStatusCode === 404;
    if (missing && error.name !== 'NoSuchBucket') return undefined;
    throw error;
  }
}

async function readAtMost(body: Readable, bytesMax: number, key: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > bytesMax) throw damaged(key);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function checksum(bytes: Buffer): { readonly ChecksumSHA256: string } {
  return { ChecksumSHA256: createHash('sha256').update(bytes).digest('base64') };
}
