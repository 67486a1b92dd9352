import type { IncomingHttpHeaders } from 'node:http';
import { DomainError } from '@sibyl/kernel';
import { MANIFEST_FILE } from '../manifest-reader';
import type { OutgoingAnswer, OutgoingHttp } from './outgoing-http';
import { unavailable } from './outgoing-http';
import type { RemoteBody, RemotePackage, ResumeAt } from './remote-package';

/** A file that may be missing is: that is what these say, and buckets say 403 to those who may not list them. */
const ABSENT: ReadonlySet<number> = new Set([403, 404, 410]);

/** A package of files beside each other, the manifest or the model named by a URL. */
export function httpPackage(client: OutgoingHttp, uri: string, pointer: string): RemotePackage {
  const url = URL.canParse(uri) ? new URL(uri) : undefined;
  const name = url && nameIn(url);
  const isModel = name?.toLowerCase().endsWith('.onnx') === true;
  if (url === undefined || !(isModel || name === MANIFEST_FILE)) {
    throw new DomainError('invalid_parameter', 'Over HTTP a URI names the manifest or the model.', {
      faults: [{ pointer, expected: `a URL that ends with ${MANIFEST_FILE} or .onnx`, received: uri.slice(0, 100) }],
    });
  }
  const resolvedUri = `${url.origin}${url.pathname}`;
  return {
    facts: { resolvedUri },
    ...(isModel ? { model: name } : {}),
    list: () => Promise.resolve(undefined),
    open: (file, resume, signal) =>
      // The query belongs to the file that was named: a signature of it, for example.
      openHttp(client, besideUrl(url, file, file === name), { resume, signal, required: file === name, file, pointer }),
  };
}

function nameIn(url: URL): string | undefined {
  try {
    return decodeURIComponent(url.pathname.split('/').at(-1) ?? '');
  } catch {
    return undefined;
  }
}

function besideUrl(url: URL, file: string, itself: boolean): URL {
  if (itself) return url;
  const folder = url.pathname.slice(0, url.pathname.lastIndexOf('/') + 1);
  return new URL(`${url.origin}${folder}${file.split('/').map(encodeURIComponent).join('/')}`);
}

export interface HttpFile {
  readonly resume: ResumeAt | undefined;
  readonly signal: AbortSignal;
  /** The URI names it: that it is missing is the caller's fault. */
  readonly required: boolean;
  readonly file: string;
  /** Where the URI stands in the request, for errors. */
  readonly pointer: string;
}

/** Opens a file by URL; undefined where it may be missing and is. */
export async function openHttp(client: OutgoingHttp, url: URL, wanted: HttpFile): Promise<RemoteBody | undefined> {
  const { resume, signal } = wanted;
  const headers = resume && { Range: `bytes=${resume.offset}-`, 'If-Range': resume.validator };
  const answer = await client.get(url, { signal, ...(headers ? { headers } : {}) });
  if (answer.status === 200 || answer.status === 206) return bodyOf(url, answer, wanted);
  answer.body.destroy();
  if (answer.status === 416 && resume) return openHttp(client, url, { ...wanted, resume: undefined });
  if (ABSENT.has(answer.status) && !wanted.required) return undefined;
  throw answer.status >= 500 || answer.status === 429 || answer.status === 408
    ? unavailable(url, `status ${answer.status}`)
    : refused(url, answer.status, wanted);
}

function bodyOf(url: URL, { status, headers, body }: OutgoingAnswer, wanted: HttpFile): RemoteBody | undefined {
  const encoding = headers['content-encoding'] ?? 'identity';
  // Servers of web pages answer every unknown path with their page.
  const page = /^text\/html\b/.test(headers['content-type'] ?? '') && !wanted.required;
  if (page || encoding !== 'identity') body.destroy();
  if (page) return undefined;
  if (encoding !== 'identity') throw unavailable(url, `content encoding ${encoding.slice(0, 20)}`);
  const validator = validatorOf(headers);
  const base = { bytes: body, ...(validator === undefined ? {} : { validator }) };
  if (status === 200) {
    const length = headers['content-length'];
    return { ...base, from: 0, ...(length === undefined ? {} : { total: Number(length) }) };
  }
  const [, from, total] = /^bytes (\d{1,15})-\d{1,15}\/(\d{1,15}|\*)$/.exec(headers['content-range'] ?? '') ?? [];
  if (from === undefined) {
    body.destroy();
    throw unavailable(url, 'a part without saying which');
  }
  return { ...base, from: Number(from), ...(total === '*' ? {} : { total: Number(total) }) };
}

/** Weak ETags say that two contents mean the same, which is not enough to put halves of them together. */
function validatorOf(headers: IncomingHttpHeaders): string | undefined {
  const { etag } = headers;
  if (etag !== undefined && etag.startsWith('"')) return etag;
  return headers['last-modified'];
}

function refused(url: URL, status: number, { file, pointer }: HttpFile): DomainError {
  return new DomainError('invalid_parameter', `'${url.host}' has no such package.`, {
    faults: [
      {
        pointer,
        expected: 'a URI of a package that may be read',
        received: `status ${status} for ${file}`,
      },
    ],
  });
}
