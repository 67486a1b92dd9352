import { createHash } from 'node:crypto';
import type http from 'node:http';
import { LoopbackServer } from './loopback-server';

interface Call {
  readonly method: string;
  /** Decoded, without the bucket. */
  readonly key: string;
  readonly query: URLSearchParams;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
}

interface Reply {
  readonly status: number;
  readonly headers?: http.OutgoingHttpHeaders;
  readonly body?: Buffer | string;
}

const KEYS_A_PAGE = 2;

/** A bucket on loopback: as much of S3, for one bucket addressed by path, as a store of packages asks for. */
export class S3Server extends LoopbackServer {
  readonly bucket = 'packages-of-tests';
  readonly objects = new Map<string, Buffer>();
  readonly calls: Pick<Call, 'method' | 'key'>[] = [];
  /** Called with each request first; what it answers true to is refused with 503. */
  refuses: (call: Call) => boolean = () => false;
  /** What it answers true to is never answered. */
  ignores: (call: Call) => boolean = () => false;
  private readonly uploads = new Map<string, Map<number, Buffer>>();

  static start(): Promise<S3Server> {
    return new S3Server().listen();
  }

  /** Multipart uploads that were begun and neither completed nor given up. */
  get unfinished(): number {
    return this.uploads.size;
  }

  asked(method: string): number {
    return this.calls.filter((call) => call.method === method).length;
  }

  protected override async serve(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    const url = new URL(request.url ?? '', this.url);
    const [, bucket, ...rest] = url.pathname.split('/').map(decodeURIComponent);
    const { method = '', headers } = request;
    const call = { method, key: rest.join('/'), query: url.searchParams, headers, body: Buffer.concat(chunks) };
    this.calls.push(call);
    if (this.ignores(call)) return;
    const refused = bucket === this.bucket ? this.refuses(call) && fault(503, 'ServiceUnavailable') : noBucket();
    const { status, headers: own = {}, body = '' } = refused || this.answer(call);
    response
      .writeHead(status, { 'content-length': Buffer.byteLength(body), ...own })
      .end(method === 'HEAD' ? '' : body);
  }

  private answer(call: Call): Reply {
    const { method, key, query } = call;
    if (key === '') return method === 'GET' ? this.list(query) : this.removeAll(call);
    if (query.has('uploads') || query.has('uploadId')) return this.multipart(call);
    if (method === 'PUT') return this.put(call);
    if (method === 'DELETE') {
      this.objects.delete(key);
      return { status: 204 };
    }
    return this.get(call);
  }

  private put({ key, headers, body }: Call): Reply {
    if (headers['x-amz-checksum-sha256'] !== sha256(body)) return fault(400, 'BadDigest');
    this.objects.set(key, body);
    return { status: 200, headers: { etag: etagOf(body) } };
  }

  private get({ key, headers }: Call): Reply {
    const object = this.objects.get(key);
    if (!object) return fault(404, 'NoSuchKey');
    const etag = etagOf(object);
    if (headers['if-match'] !== undefined && headers['if-match'] !== etag) return fault(412, 'PreconditionFailed');
    const [, begin, end] = /^bytes=(\d+)-(\d+)$/.exec(headers.range ?? '') ?? [];
    if (begin === undefined) return { status: 200, headers: { etag, 'content-length': object.length }, body: object };
    if (Number(begin) >= object.length) return fault(416, 'InvalidRange');
    const body = object.subarray(Number(begin), Number(end) + 1);
    const range = `bytes ${begin}-${Number(begin) + body.length - 1}/${object.length}`;
    return { status: 206, headers: { etag, 'content-range': range }, body };
  }

  private list(query: URLSearchParams): Reply {
    const prefix = query.get('prefix') ?? '';
    const after = query.get('continuation-token') ?? '';
    const keys = [...this.objects.keys()].filter((key) => key.startsWith(prefix) && key > after).sort();
    const page = keys.slice(0, KEYS_A_PAGE);
    const contents = page.map(
      (key) => `<Contents><Key>${key}</Key><Size>${this.objects.get(key)?.length}</Size></Contents>`,
    );
    const more = keys.length > page.length;
    const token = more ? `<NextContinuationToken>${page.at(-1)}</NextContinuationToken>` : '';
    const body = `<ListBucketResult><IsTruncated>${more}</IsTruncated>${token}${contents.join('')}</ListBucketResult>`;
    return xml(body);
  }

  private removeAll({ body }: Call): Reply {
    for (const [, key = ''] of body.toString().matchAll(/<Key>([^<]*)<\/Key>/g)) this.objects.delete(key);
    return xml('<DeleteResult></DeleteResult>');
  }

  private multipart(call: Call): Reply {
    const { method, key, query, headers, body } = call;
    if (query.has('uploads')) {
      const id = `upload-${this.calls.length}`;
      this.uploads.set(id, new Map());
      return xml(`<InitiateMultipartUploadResult><UploadId>${id}</UploadId></InitiateMultipartUploadResult>`);
    }
    const id = query.get('uploadId') ?? '';
    const parts = this.uploads.get(id);
    if (!parts) return fault(404, 'NoSuchUpload');
    if (method === 'PUT') {
      if (headers['x-amz-checksum-sha256'] !== sha256(body)) return fault(400, 'BadDigest');
      parts.set(Number(query.get('partNumber')), body);
      return { status: 200, headers: { etag: etagOf(body) } };
    }
    this.uploads.delete(id);
    if (method === 'DELETE') return { status: 204 };
    const named = [...body.toString().matchAll(/<PartNumber>(\d+)<\/PartNumber>/g)].map(([, number]) => Number(number));
    this.objects.set(key, Buffer.concat(named.map((number) => parts.get(number) ?? Buffer.alloc(0))));
    return xml('<CompleteMultipartUploadResult><ETag>"1"</ETag></CompleteMultipartUploadResult>');
  }
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('base64');
}

function etagOf(bytes: Buffer): string {
  return `"${createHash('md5').update(bytes).digest('hex')}"`;
}

function xml(body: string, status = 200): Reply {
  return { status, headers: { 'content-type': 'application/xml' }, body: `<?xml version="1.0"?>${body}` };
}

function fault(status: number, code: string): Reply {
  return xml(`<Error><Code>${code}</Code><Message>${code}</Message></Error>`, status);
}

function noBucket(): Reply {
  return fault(404, 'NoSuchBucket');
}
