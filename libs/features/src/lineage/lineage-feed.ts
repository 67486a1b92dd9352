import { setTimeout as sleep } from 'node:timers/promises';
import type { LineageOptions } from './lineage-options';
import type { OpenLineageEvent } from './open-lineage';

/** Events that wait to be told. */
const WAITING_MAX = 1000;
const ANSWER_MS = 5_000;
/** A server that is down is asked again after so long, and given up on after the last. */
const RETRY_MS = [1_000, 4_000, 16_000];
const ENDPOINT = 'api/v1/lineage';

export type FeedOutcome = 'sent' | 'failed' | 'dropped';

export interface FeedParts {
  readonly options: LineageOptions;
  readonly log: { warn(fields: object, message: string): void };
  readonly onOutcome: (outcome: FeedOutcome) => void;
}

/** Tells an OpenLineage server what was published, and which aliases moved. Nobody waits for it, and what does not fit is dropped and counted. */
export class LineageFeed {
  private readonly waiting: (() => Promise<OpenLineageEvent>)[] = [];
  private readonly ending = new AbortController();
  private running: Promise<void> | undefined;

  constructor(private readonly parts: FeedParts) {}

  /** `make` is called when its turn comes. */
  tell(make: () => Promise<OpenLineageEvent>): void {
    if (this.parts.options.url === undefined || this.ending.signal.aborted) return;
    if (this.waiting.length >= WAITING_MAX) return this.parts.onOutcome('dropped');
    this.waiting.push(make);
    this.begin();
  }

  /** What waits is not told any more. */
  async stop(): Promise<void> {
    this.ending.abort(new Error('the server stops'));
    await this.running;
  }

  private begin(): void {
    this.running ??= this.run().finally(() => {
      this.running = undefined;
      // One may have come after the last look.
      if (this.waiting.length > 0 && !this.ending.signal.aborted) this.begin();
    });
  }

  private async run(): Promise<void> {
    for (let make = this.waiting.shift(); make !== undefined; make = this.waiting.shift()) {
      if (this.ending.signal.aborted) return;
      try {
        await this.send(await make());
        this.parts.onOutcome('sent');
      } catch (error) {
        if (this.ending.signal.aborted) return;
        this.parts.onOutcome('failed');
        this.parts.log.warn({ err: error }, 'the OpenLineage server was not told of an event');
      }
    }
  }

  private async send(event: OpenLineageEvent): Promise<void> {
    for (let tries = 0; ; tries++) {
      try {
        return await this.post(event);
      } catch (error) {
        const wait = RETRY_MS[tries];
        if (error instanceof Refused || wait === undefined) throw error;
        await sleep(wait, undefined, { signal: this.ending.signal });
      }
    }
  }

  private async post(event: OpenLineageEvent): Promise<void> {
    const { url = '', apiKey } = this.parts.options;
    const answer = await fetch(new URL(ENDPOINT, url.endsWith('/') ? url : `${url}/`), {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        ...(apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` }),
      },
      body: JSON.stringify(event),
      // The operator named this address and no other.
      redirect: 'error',
      signal: AbortSignal.any([this.ending.signal, AbortSignal.timeout(ANSWER_MS)]),
    });
    await answer.body?.cancel();
    if (answer.ok) return;
    const message = `the OpenLineage server answered ${answer.status}`;
    throw answer.status < 500 && answer.status !== 429 ? new Refused(message) : new Error(message);
  }
}

/** It will say the same again. */
class Refused extends Error {}
