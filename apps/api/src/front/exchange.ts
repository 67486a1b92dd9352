/** Hot path. See docs/paths/predict.md. */
import type { CommitReceiver } from '@sibyl/audit';
import type { JsonText } from '@sibyl/protocol';
import type { Problem } from '../http/problem';
import type { RequestContext } from '../http/request-context';
import type { Wire } from './wire';

/** What becomes of an exchange whose event was submitted. */
export interface ExchangeEnd {
  recorded(exchange: Exchange): void;
  unrecorded(exchange: Exchange, error: Error): void;
  /** One of the two above went wrong. */
  broken(exchange: Exchange, error: unknown): void;
}

/** A request that is answered, or refused, and recorded; its answer is about to leave. */
export interface Measured {
  readonly status: number;
  /** Since its first byte. */
  readonly seconds: number;
  /** Of which its event took so much. */
  readonly auditSeconds: number;
}

/**
 * One request on its way in front of the ordinary stack. Every field is there from the beginning, so that all exchanges of a kind
 * have one shape; and the steps are methods that call each other instead of promises, of which a request would need a dozen.
 */
export abstract class Exchange implements CommitReceiver {
  /** The caller hung up; what is still waiting was dropped. */
  closed = false;
  /** The answer is decided: what comes later changes nothing. */
  decided = false;
  /** Counted among the requests whose events are still to come. */
  underway = false;
  answer: JsonText = '';
  /** Of the answer, where there is one. */
  status = 200;
  problem: Problem | undefined = undefined;
  /** What was thrown, where something was. */
  thrown: unknown = undefined;
  submittedAt = 0;

  constructor(
    readonly wire: Wire,
    /** Of the path, for metrics and the record. */
    readonly pattern: string,
    readonly context: RequestContext,
    private readonly end: ExchangeEnd,
  ) {}

  /** Counts what it came to, beside what is counted of every request. */
  abstract measured(what: Measured): void;

  /** The caller is gone: what still waits is dropped. */
  hangUp(): void {
    this.closed = true;
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
