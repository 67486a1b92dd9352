import { Injectable } from '@nestjs/common';
import { allowsModel, type Principal } from '@sibyl/auth';
import { DomainError } from '@sibyl/kernel';
import { checkModelName, ModelRegistry, sha256Of, type UploadRange, type UploadState } from '@sibyl/registry';
import { hasBody, refuseEncoding } from '../http/body';
import { boundedBody } from '../http/bounded-body';
import { HttpOptions } from '../http/http-options';
import type { ApiRequest } from '../http/request-context';
import type { Reply } from '../operations/reply';

/** `bytes first-last/total` of RFC 9110 §14.4. */
const RANGE = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15})$/;

/** Files that are sent one by one under their digests, and go on where they broke off. */
@Injectable()
export class Uploads {
  constructor(
    private readonly registry: ModelRegistry,
    private readonly options: HttpOptions,
  ) {}

  async state(caller: Principal, model: string, sha256: string): Promise<Reply> {
    checkModelName(model);
    return replyOf(sha256, await this.registry.uploadState(model, sha256, this.mayTake(caller)), 200);
  }

  async receive(caller: Principal, model: string, digest: string, request: ApiRequest): Promise<Reply> {
    checkModelName(model);
    const sha256 = sha256Of(digest, '/sha256');
    refuseEncoding(request);
    const present = await this.registry.uploadState(model, sha256, this.mayTake(caller));
    if (present.complete) return replyOf(sha256, present, 200);
    if (!hasBody(request) && request.headers['content-length'] === undefined)
      throw new DomainError('invalid_parameter', 'Send the bytes of the file as the body.');
    const { artifactBytes: bytes, uploadTimeoutMs: timeoutMs } = this.options;
    const { range, length = bytes } = rangeOf(request);
    const body = boundedBody(request, { bytes: length, timeoutMs });
    const state = await this.registry.receiveFile(model, sha256, range, body);
    return replyOf(sha256, state, state.complete ? 201 : 200);
  }

  async giveBack(model: string, digest: string): Promise<Reply> {
    checkModelName(model);
    return replyOf(digest, await this.registry.giveBackFile(model, sha256Of(digest, '/sha256')), 200);
  }

  /** What a key may register and take out, it may take into another package. */
  mayTake(caller: Principal): (model: string) => boolean {
    return (model) => allowsModel(caller, 'models:write', model);
  }
}

function rangeOf(request: ApiRequest): { readonly range: UploadRange; readonly length?: number } {
  const text = request.headers['content-range'];
  const { 'content-length': length } = request.headers;
  if (text === undefined) return { range: length === undefined ? { offset: 0 } : { offset: 0, total: Number(length) } };
  const [first, last, total] = (RANGE.exec(text) ?? []).slice(1).map(Number);
  if (first === undefined || last === undefined || total === undefined || first > last || last >= total)
    throw new DomainError('invalid_parameter', 'The range of these bytes cannot be read.', {
      faults: [{ pointer: '/content-range', expected: 'bytes first-last/total', received: text.slice(0, 80) }],
    });
  return { range: { offset: first, total }, length: last - first + 1 };
}

function replyOf(digest: string, { offset, complete }: UploadState, status: number): Reply {
  const sha256 = sha256Of(digest, '/sha256');
  // As the resumable uploads of the IETF's HTTP working group call them.
  const headers = {
    'Upload-Offset': String(offset),
    'Upload-Complete': complete ? '?1' : '?0',
    'Cache-Control': 'no-store',
  };
  return { status, headers, body: { digest: `sha256:${sha256}`, offset, complete } };
}
