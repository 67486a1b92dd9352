/** Hot path. See docs/paths/predict.md. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { DomainError } from '@sibyl/kernel';
import { PredictCall, type Resolution } from '@sibyl/prediction';
import type { RequestContext } from '../http/request-context';
import type { PredictOptions } from './predict-options';
import type { PredictRoute } from './predict-routes';

/** One predict request on its way: every field is there from the beginning, so that all exchanges have one shape. */
export class Exchange {
  call: PredictCall;
  /** The caller hung up; what is still waiting was dropped. */
  closed = false;
  /** The body while it is read: told when the connection closes. */
  reading: { cutOff(): void } | undefined = undefined;
  /** Counted among the predictions whose events are still to come. */
  underway = false;
  /** The body as it came, for its digest. */
  rawText = '';
  /** The event's payload holds the body too, not the answer alone: false for bodies beyond `recordedBytes`. */
  keepsRequest = false;
  resolution: Resolution | undefined = undefined;
  /** Predictions in the answer, for metrics. */
  rows = 0;

  constructor(
    readonly request: IncomingMessage,
    readonly response: ServerResponse,
    readonly route: PredictRoute,
    readonly context: RequestContext,
  ) {
    this.call = UNSTARTED;
    // Not once(): a response closes only once, and the wrapper is one more object a request.
    response.on('close', () => {
      this.closed = !response.writableEnded;
      this.call.abort();
      this.reading?.cutOff();
    });
  }

  /** Starts the clock of the request: its own deadline, or the server's. */
  begin(options: PredictOptions): void {
    const limitMs = timeoutOf(this.request.headers['x-request-timeout-ms'], options);
    this.call = new PredictCall(this.context.startedAt + limitMs);
    if (this.closed) this.call.abort();
  }

  /** Notes what the request came to, for its event. */
  resolved(resolution: Resolution): void {
    this.resolution = resolution;
    this.context.model = resolution.served.identity(resolution.alias);
  }
}

const UNSTARTED = new PredictCall(0);
const DIGITS = /^\d{1,9}$/;

function timeoutOf(header: string | string[] | undefined, options: PredictOptions): number {
  if (header === undefined) return options.deadlineMs;
  const ms = typeof header === 'string' && DIGITS.test(header) ? Number(header) : 0;
  if (ms >= 1 && ms <= options.deadlineMaxMs) return ms;
  const expected = `a whole number from 1 to ${options.deadlineMaxMs}`;
  throw new DomainError('invalid_parameter', `X-Request-Timeout-Ms must be ${expected}.`, {
    faults: [{ pointer: '/headers/x-request-timeout-ms', expected }],
  });
}
