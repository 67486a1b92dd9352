import { Injectable } from '@nestjs/common';
import type { Principal } from '@sibyl/auth';
import { FeatureLog, type PushedEvent, type UploadOutcome } from '@sibyl/features';
import { DomainError, type FieldFault, received } from '@sibyl/kernel';
import { checkJsonType, readBody, refuseEncoding } from '../http/body';
import { boundedBody } from '../http/bounded-body';
import { HttpOptions } from '../http/http-options';
import { parseJson } from '../http/json-text';
import type { ApiRequest } from '../http/request-context';
import { refuseUnknown } from '../http/validation.pipe';
import { AtOnce } from '../operations/at-once';

/** Faults of one answer. */
const FAULTS = 64;
const NDJSON = /^application\/(x-)?nd-?json\s*(;|$)/i;
/** Histories of this process: each has some megabytes in memory, and takes its turns among the pushes. */
const AT_ONCE = { what: 'histories', inAll: 24, ofOne: 8, retryAfterSeconds: 5 };
/** Deeper than any event: an object in a list in an object. */
const DEPTH = 8;
const ENVELOPE = ['stream', 'events', 'ack'];

/** What became of the events, and how far their stream has come; that is not said of lines that name streams of their own. */
export interface PushAnswer {
  readonly outcome: readonly PushedEvent[] | UploadOutcome;
  readonly watermark: number | undefined;
}

interface Envelope {
  readonly stream: string;
  readonly events: readonly unknown[];
}

/** Events on their way from a request into the log. */
@Injectable()
export class Pushes {
  private readonly uploads = new AtOnce(AT_ONCE);

  constructor(
    private readonly log: FeatureLog,
    private readonly options: HttpOptions,
  ) {}

  /** A push of JSON, or a history of JSON lines. */
  async receive(caller: Principal, request: ApiRequest, stream: string | undefined): Promise<PushAnswer> {
    refuseEncoding(request);
    if (!NDJSON.test(request.headers['content-type'] ?? '')) return this.push(caller, request, stream);
    return this.upload(caller, request, stream);
  }

  private async upload(caller: Principal, request: ApiRequest, stream: string | undefined): Promise<PushAnswer> {
    const leave = this.uploads.enter(caller.keyId);
    try {
      const limits = { bytes: this.options.artifactBytes, timeoutMs: this.options.uploadTimeoutMs };
      if (stream !== undefined) request.context.resource = { type: 'feature_stream', id: stream };
      const outcome = await this.log.upload(caller.actor, stream, boundedBody(request, limits));
      request.context.changes = { ...outcome.counts };
      return { outcome, watermark: stream === undefined ? undefined : this.log.watermark(stream) };
    } finally {
      leave();
    }
  }

  private async push(caller: Principal, request: ApiRequest, named: string | undefined): Promise<PushAnswer> {
    checkJsonType(request);
    const { bodyBytes: bytes, bodyTimeoutMs: timeoutMs, jsonDepth } = this.options;
    const body = parseJson(await readBody(request, { bytes, timeoutMs }), Math.min(DEPTH, jsonDepth));
    const { stream, events } = envelopeOf(body, named);
    request.context.resource = { type: 'feature_stream', id: stream };
    const results = await this.log.push(caller.actor, stream, events);
    request.context.changes = countsOf(results);
    refuseWhole(results);
    return { outcome: results, watermark: this.log.watermark(stream) };
  }
}

function envelopeOf(body: unknown, named: string | undefined): Envelope {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) throw wrong('', '{stream, events}', body);
  const { stream = named, events, ack = 'durable', ...others } = body as Record<string, unknown>;
  refuseUnknown(others, ENVELOPE);
  if (typeof stream !== 'string') throw wrong('/stream', 'the name of a stream', stream);
  if (typeof events !== 'object' || events === null) throw wrong('/events', 'a list of events, or one event', events);
  const list: readonly unknown[] = Array.isArray(events) ? events : [events];
  // Nothing is answered that could still be lost.
  if (ack !== 'durable') throw wrong('/ack', '"durable"', ack);
  if (list.length === 0) throw wrong('/events', 'at least one event', events);
  return { stream, events: list };
}

/** How many events came to what, as the record of a push has it. */
export function countsOf(results: readonly PushedEvent[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { status } of results) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
}

/** A push of which nothing was taken, and nothing was there before, has failed. */
function refuseWhole(results: readonly PushedEvent[]): void {
  if (results.some(({ status }) => status !== 'CONFLICT' && status !== 'INVALID')) return;
  const faults = results.slice(0, FAULTS).map(faultOf);
  if (results.every(({ status }) => status === 'CONFLICT'))
    throw new DomainError('event_conflict', 'Every event of the push exists with other values.', { faults });
  throw new DomainError('event_invalid', 'No event of the push can be stored.', { faults });
}

function faultOf({ fault, reason }: PushedEvent, i: number): FieldFault {
  return { ...(fault ?? { expected: reason ?? 'another event' }), pointer: `/events/${i}${fault?.pointer ?? ''}` };
}

function wrong(pointer: string, expected: string, given: unknown): DomainError {
  return new DomainError('invalid_parameter', `Wrong or missing: ${pointer.slice(1) || 'the body'}.`, {
    faults: [{ pointer, expected, received: received(given) }],
  });
}
