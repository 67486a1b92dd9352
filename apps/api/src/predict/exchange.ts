/** Hot path. See docs/paths/predict.md. */
import type { CommitReceiver } from '@sibyl/audit';
import { DomainError } from '@sibyl/kernel';
import { PredictCall, type Resolution, type RowAnswer } from '@sibyl/prediction';
import type { JsonText } from '@sibyl/protocol';
import type { Problem } from '../http/problem';
import type { RequestContext } from '../http/request-context';
import type { PredictOptions } from './predict-options';
import type { PredictRoute } from './predict-routes';
import type { Wire } from './wire';

/** What becomes of an exchange whose event was submitted. */
export interface ExchangeEnd {
  recorded(exchange: Exchange): void;
  unrecorded(exchange: Exchange, error: Error): void;
  /** One of the two above went wrong. */
  broken(exchange: Exchange, error: unknown): void;
}

/**
 * One predict request on its way. Every field is there from the beginning, so that all exchanges have one shape; and the
 * steps are methods that call each other instead of promises, of which a request would need a dozen.
 */
export class Exchange implements CommitReceiver {
  call: PredictCall = UNSTARTED;
  /** The caller hung up; what is still waiting was dropped. */
  closed = false;
  /** The answer is decided: what comes later changes nothing. */
  decided = false;
  /** Counted among the predictions whose events are still to come. */
  underway = false;
  /** The body as it came: JSON in UTF-8; undefined once nobody needs it any more. */
  body: Uint8Array | undefined = undefined;
  /** Bytes with which its body counts among the long ones. */
  heldBytes = 0;
  /** The digest of a body that was read in slices. */
  inputsDigest: string | undefined = undefined;
  resolution: Resolution | undefined = undefined;
  /** What the features of its rows were made from, as JSON; empty: the request gave them all. */
  basisJson = '';
  /** Predictions in the answer, for metrics. */
  rows = 0;
  answer: JsonText = '';
  problem: Problem | undefined = undefined;
  /** What was thrown, where something was. */
  thrown: unknown = undefined;
  submittedAt = 0;

  constructor(
    readonly wire: Wire,
    readonly route: PredictRoute,
    readonly context: RequestContext,
    private readonly end: ExchangeEnd,
  ) {}

  /** Starts the clock of the request: its own deadline, or the server's. */
  begin(options: PredictOptions): void {
    const limitMs = timeoutOf(this.wire.headers['x-request-timeout-ms'], options);
    this.call = new PredictCall(this.context.startedAt + limitMs, isBulk(this.wire.headers['x-request-priority']));
  }

  /** The caller is gone: what still waits is dropped. */
  hangUp(): void {
    this.closed = true;
    if (this.call !== UNSTARTED) this.call.abort();
  }

  /** Notes what the request came to, for its event. */
  resolved(resolution: Resolution): void {
    this.resolution = resolution;
    this.context.model = resolution.served.identity(resolution.alias);
  }

  /** Notes what the features of its rows were made from: for the event the sets, for its payload all of it. */
  madeFrom(rows: readonly (Pick<RowAnswer, 'fill'> | undefined)[]): void {
    const sets: string[] = [];
    let text = '';
    for (const row of rows) {
      const basis = row?.fill?.basis;
      if (basis !== undefined && !sets.includes(basis.set)) sets.push(basis.set);
      text += `${text === '' ? '[' : ','}${basis === undefined ? 'null' : basis.json()}`;
    }
    const [set, ...others] = sets;
    if (set === undefined) return;
    this.context.changes = others.length === 0 ? changesOf(set) : { feature_set: sets };
    this.basisJson = `${text}]`;
  }

  /** Forgets what was noted: the body is read once more, in another way. */
  unresolved(): void {
    this.resolution = undefined;
    this.context.model = undefined;
    this.rows = 0;
  }

  /** Called for all events of a write in turn: what goes wrong with one answer must not cost the others theirs. */
  durable(): void {
    try {
      this.end.recorded(this);
    } catch (error) {
      this.end.broken(this, error);
    }
  }

  lost(error: Error): void {
    try {
      this.end.unrecorded(this, error);
    } catch (cause) {
      this.end.broken(this, cause);
    }
  }
}

let lastChanges: Readonly<{ feature_set: string }> = Object.freeze({ feature_set: '' });

/** Frozen, and the same again for the set that was asked last: its text is then written once. */
function changesOf(set: string): Readonly<Record<string, unknown>> {
  if (lastChanges.feature_set !== set) lastChanges = Object.freeze({ feature_set: set });
  return lastChanges;
}

const UNSTARTED = new PredictCall(0);
const PRIORITIES = 'interactive or bulk';
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

function isBulk(header: string | string[] | undefined): boolean {
  if (header === undefined || header === 'interactive') return false;
  if (header === 'bulk') return true;
  throw new DomainError('invalid_parameter', `X-Request-Priority must be ${PRIORITIES}.`, {
    faults: [{ pointer: '/headers/x-request-priority', expected: PRIORITIES }],
  });
}
