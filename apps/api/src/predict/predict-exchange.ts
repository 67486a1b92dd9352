/** Hot path. See docs/paths/predict.md. */
import { DomainError } from '@sibyl/kernel';
import { PredictCall, type Resolution, type RowAnswer } from '@sibyl/prediction';
import type { RequestContext } from '../http/request-context';
import { Exchange, type ExchangeEnd, type Measured } from '../front/exchange';
import type { Wire } from '../front/wire';
import type { PredictOptions } from './predict-options';
import type { PredictRoute } from './predict-routes';

/** Who ends an exchange, and counts what it came to. */
export interface PredictEnd extends ExchangeEnd {
  measured(exchange: PredictExchange, what: Measured): void;
}

/** One predict request on its way. */
export class PredictExchange extends Exchange {
  call: PredictCall = UNSTARTED;
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

  constructor(
    wire: Wire,
    readonly route: PredictRoute,
    context: RequestContext,
    private readonly replies: PredictEnd,
  ) {
    super(wire, route.pattern, context, replies);
  }

  /** Starts the clock of the request: its own deadline, or the server's. */
  begin(options: PredictOptions): void {
    const limitMs = timeoutOf(this.wire.headers['x-request-timeout-ms'], options);
    this.call = new PredictCall(this.context.startedAt + limitMs, isBulk(this.wire.headers['x-request-priority']));
  }

  override hangUp(): void {
    super.hangUp();
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

  measured(what: Measured): void {
    this.replies.measured(this, what);
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
