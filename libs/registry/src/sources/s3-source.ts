import http from 'node:http';
import https from 'node:https';
import type { Readable } from 'node:stream';
import type { GetObjectCommandOutput, S3Client } from '@aws-sdk/client-s3';
import { DomainError } from '@sibyl/kernel';
import { MANIFEST_FILE } from '../manifest-reader';
import { awsSdk } from './aws-sdk';
import { HostRules } from './host-rules';
import { OutgoingGuard, type Resolve } from './outgoing-guard';
import type { RemoteBody, RemotePackage, ResumeAt } from './remote-package';
import type { SourceOptions } from './source-options';

const URI = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])\/(.*)$/i;
/** Large objects come in ranges of so many bytes: what breaks costs no more than one. */
const RANGE_BYTES = 64 * 1024 * 1024;
const CONNECT_MS = 5_000;
/** For a request until its answer begins, the wait for a connection and what it sends included: a part of 16 MiB at 280 kB/s. */
const STALLS_AN_ANSWER = 2;
const SOCKETS = 4;
/** Servers other than Amazon's have no regions, but signatures do. */
const DEFAULT_REGION = 'us-east-1';

/** A client for the operator's S3: the endpoint that is configured, wherever it is, else Amazon's at public addresses. */
export function s3Client(options: SourceOptions, pointer: string, resolve?: Resolve): S3Client {
  const endpoint = options.s3Endpoint === undefined ? undefined : new URL(options.s3Endpoint);
  const rules = endpoint ? HostRules.endpoint(endpoint) : HostRules.PUBLIC;
  const guard = new OutgoingGuard(rules, pointer, resolve);
  const agent = { keepAlive: true, maxSockets: SOCKETS, lookup: guard.lookup };
  const { s3AccessKeyId: accessKeyId, s3SecretAccessKey: secretAccessKey, s3SessionToken: sessionToken } = options;
  return new (awsSdk().S3Client)({
    region: options.s3Region ?? DEFAULT_REGION,
    ...(endpoint ? { endpoint: endpoint.href, forcePathStyle: true } : {}),
    ...(accessKeyId !== undefined && secretAccessKey !== undefined
      ? { credentials: { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) } }
      : {}),
    // Servers other than Amazon's do not know the newer checksums.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    maxAttempts: 2,
    requestHandler: {
      connectionTimeout: CONNECT_MS,
      requestTimeout: STALLS_AN_ANSWER * options.stallMs,
      // Without it the SDK writes a warning and waits on.
      throwOnRequestTimeout: true,
      httpAgent: new http.Agent(agent),
      httpsAgent: new https.Agent(agent),
    },
  });
}

/** Everything in a bucket whose name begins so. */
export interface S3Place {
  readonly bucket: string;
  /** Empty, or ends with a slash. */
  readonly prefix: string;
}

/** The objects directly under a prefix, which must have nothing in common with the place that is `closed`. */
export function s3Package(client: S3Client, uri: string, pointer: string, closed?: S3Place): RemotePackage {
  const [, bucket, path = ''] = URI.exec(uri) ?? [];
  if (bucket === undefined) {
    throw new DomainError('invalid_parameter', 'The URI is not one of S3.', {
      faults: [{ pointer, expected: 's3://bucket/prefix', received: uri.slice(0, 100) }],
    });
  }
  refusePlace({ bucket, prefix: path }, closed, pointer);
  const last = path.split('/').at(-1) ?? '';
  const isModel = last.toLowerCase().endsWith('.onnx');
  const folder =
    isModel || last === MANIFEST_FILE ? path.slice(0, -last.length) : path.replace(/\/*$/, path === '' ? '' : '/');
  const objects = new S3Objects(client, bucket, folder, pointer);
  return {
    facts: { resolvedUri: `s3://${bucket}/${path}` },
    ...(isModel ? { model: last } : {}),
    list: (signal) => objects.list(signal),
    open: (file, resume, signal) => objects.open(file, resume, signal),
  };
}

function refusePlace({ bucket, prefix }: S3Place, closed: S3Place | undefined, pointer: string): void {
  const refusal = (detail: string, expected: string): DomainError =>
    new DomainError('invalid_parameter', detail, {
      faults: [{ pointer, expected, received: `s3://${bucket}/${prefix}`.slice(0, 100) }],
    });
  // A server that keeps objects as files would follow them to another place than the one that is looked at here.
  if (prefix.split('/').some((segment) => segment === '.' || segment === '..'))
    throw refusal('The URI leads through . or .., which S3 does not know.', 'a prefix without . and ..');
  if (closed?.bucket.toLowerCase() !== bucket.toLowerCase()) return;
  if (prefix.startsWith(closed.prefix) || closed.prefix.startsWith(prefix))
    throw refusal('The URI names the place where this server keeps its own packages.', 'another bucket or prefix');
}

class S3Objects {
  private readonly sdk = awsSdk();

  constructor(
    private readonly client: S3Client,
    private readonly bucket: string,
    private readonly prefix: string,
    private readonly pointer: string,
  ) {}

  async list(signal: AbortSignal): Promise<readonly string[]> {
    const names: string[] = [];
    let token: string | undefined;
    do {
      const page = await this.answer(signal, () =>
        this.client.send(
          new this.sdk.ListObjectsV2Command({
            Bucket: this.bucket,
            Prefix: this.prefix,
            Delimiter: '/',
            ContinuationToken: token,
          }),
          { abortSignal: signal },
        ),
      );
      for (const { Key: key = '' } of page.Contents ?? []) {
        if (key.startsWith(this.prefix) && key.length > this.prefix.length) names.push(key.slice(this.prefix.length));
      }
      for (const { Prefix: key = '' } of page.CommonPrefixes ?? []) {
        if (key.startsWith(this.prefix)) names.push(key.slice(this.prefix.length));
      }
      token = page.NextContinuationToken;
    } while (token !== undefined && names.length < NAMES);
    return names;
  }

  async open(file: string, resume: ResumeAt | undefined, signal: AbortSignal): Promise<RemoteBody | undefined> {
    const from = resume?.offset ?? 0;
    try {
      const command = new this.sdk.GetObjectCommand({
        Bucket: this.bucket,
        Key: this.prefix + file,
        Range: `bytes=${from}-${from + RANGE_BYTES - 1}`,
        ...(resume ? { IfMatch: resume.validator } : {}),
      });
      return bodyOf(await this.client.send(command, { abortSignal: signal }));
    } catch (error) {
      signal.throwIfAborted();
      const status = statusOf(error);
      if (status === 404) return undefined;
      // Changed since it was begun, or empty, which no range fits.
      if (status === 412 && resume) return this.open(file, undefined, signal);
      if (status === 416 && from === 0) return this.openEmpty(file, signal);
      throw this.translated(error);
    }
  }

  private async openEmpty(file: string, signal: AbortSignal): Promise<RemoteBody> {
    const whole = await this.answer(signal, () =>
      this.client.send(new this.sdk.GetObjectCommand({ Bucket: this.bucket, Key: this.prefix + file }), {
        abortSignal: signal,
      }),
    );
    return { bytes: whole.Body as Readable, from: 0, total: whole.ContentLength ?? 0 };
  }

  private async answer<T>(signal: AbortSignal, call: () => Promise<T>): Promise<T> {
    try {
      return await call();
    } catch (error) {
      signal.throwIfAborted();
      throw this.translated(error);
    }
  }

  private translated(error: unknown): DomainError {
    if (error instanceof DomainError) return error;
    const status = statusOf(error);
    if (status !== undefined && status >= 400 && status < 500 && status !== 429) {
      return new DomainError('invalid_parameter', 'The bucket has no such package, or this server may not read it.', {
        cause: error,
        faults: [
          {
            pointer: this.pointer,
            expected: 'a bucket and prefix that the configured credentials may read',
            received: `${status} ${error instanceof awsSdk().S3ServiceException ? error.name : ''}`.trim(),
          },
        ],
      });
    }
    return new DomainError('source_unavailable', 'The S3 server could not be reached, or broke off.', {
      cause: error,
      retryAfterSeconds: 10,
    });
  }
}

function bodyOf({ Body, ETag, ContentRange, ContentLength: length }: GetObjectCommandOutput): RemoteBody {
  const [, begin = '0', whole] = /^bytes (\d{1,15})-\d{1,15}\/(\d{1,15})$/.exec(ContentRange ?? '') ?? [];
  const from = Number(begin);
  const total = whole === undefined ? length : Number(whole);
  return {
    bytes: Body as Readable,
    from,
    ...(ETag === undefined ? {} : { validator: ETag }),
    ...(total === undefined ? {} : { total }),
    ...(length === undefined ? {} : { until: from + length }),
  };
}

/** Names after which a listing is not read on; whoever asked refuses so many. */
const NAMES = 5000;

function statusOf(error: unknown): number | undefined {
  return error instanceof awsSdk().S3ServiceException ? error.$metadata.httpStatusCode : undefined;
}
