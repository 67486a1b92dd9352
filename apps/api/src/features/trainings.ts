import { Injectable } from '@nestjs/common';
import type { Principal } from '@sibyl/auth';
import { TrainingSets, type TrainingPlan, type TrainingRequest, type TrainingResult } from '@sibyl/features';
import { DomainError, orStorageFull, timestamp } from '@sibyl/kernel';
import type { Response } from 'express';
import { refuseEncoding } from '../http/body';
import { boundedBody } from '../http/bounded-body';
import { HttpOptions } from '../http/http-options';
import type { ApiRequest } from '../http/request-context';
import { streamFile } from '../http/stream-file';
import { AtOnce } from '../operations/at-once';
import { LongWork, type LongCall } from '../operations/long-work';
import { OperationAccess } from '../operations/operation-access';
import { fileOf } from '../operations/operation.view';
import type { Reply } from '../operations/reply';
import type { HistoricalQuery } from './feature.dto';
import { noteSelection, setText, viewTexts } from './read-account';
import { outputOf, ReadBody } from './read-body';

const NDJSON = /^application\/(x-)?nd-?json\s*(;|$)/i;
const TYPES = { ndjson: 'application/x-ndjson', csv: 'text/csv', parquet: 'application/vnd.apache.parquet' } as const;
/** Training sets of this process: each reads the log as fast as it can. */
const AT_ONCE = { what: 'training sets', inAll: 3, ofOne: 2, retryAfterSeconds: 30 };
/** Rows that are being sent for one: a file each, of one key and of all. */
const SENT_OF_KEY = 2;
const SENT_AT_ONCE = 16;

/** A training set that was made, with what was asked for. */
interface Ended {
  readonly asked: TrainingRequest;
  readonly plan: TrainingPlan;
  readonly made: TrainingResult;
}

/** Training sets on their way from a request to a file, and from there to their caller. */
@Injectable()
export class Trainings {
  private readonly places = new AtOnce(AT_ONCE);
  /** Keys whose rows are on their way, once for each request. */
  private readonly senders: string[] = [];

  constructor(
    private readonly sets: TrainingSets,
    private readonly bodies: ReadBody,
    private readonly work: LongWork,
    private readonly access: OperationAccess,
    private readonly options: HttpOptions,
  ) {}

  async begin(request: ApiRequest, query: HistoricalQuery, call: LongCall): Promise<Reply> {
    const key = request.context.principal?.keyId ?? '';
    // Whoever sends rows slowly holds nobody up but himself: the place is taken once they are all there.
    this.places.enter(key)();
    const spool = this.sets.files.spoolOf(key);
    let leave = (): void => undefined;
    let begun = false;
    const end = async (): Promise<void> => {
      leave();
      await this.sets.files.remove(spool);
    };
    try {
      const asked = await this.requestOf(request, query, spool);
      const plan = await this.sets.prepare(key, asked);
      const told = toldOf(plan, asked);
      noteSelection(request.context, plan.selection, told);
      await this.sets.files.require(key);
      leave = this.places.enter(key);
      const reply = this.work.begin(call, 'feature.historical', async (signal, id, onProgress) => {
        try {
          const made = await this.sets.write(plan, id, { signal, onProgress });
          return this.toResultView(id, { asked, plan, made });
        } finally {
          await end();
        }
      });
      begun = true;
      const { id: operation } = reply.body as { readonly id: string };
      noteSelection(request.context, plan.selection, { operation, ...told });
      return reply;
    } finally {
      if (!begun) await end();
    }
  }

  /** Runs while the key is known to be sending rows. */
  private async sending<T>({ context: { principal } }: ApiRequest, receive: () => Promise<T>): Promise<T> {
    const key = principal?.keyId ?? '';
    const own = this.senders.filter((one) => one === key).length;
    if (own >= SENT_OF_KEY || this.senders.length >= SENT_AT_ONCE) {
      const detail = `Rows of ${own >= SENT_OF_KEY ? `${SENT_OF_KEY} requests of this key` : `${SENT_AT_ONCE} requests`} are being received.`;
      throw new DomainError('queue_full', detail, { retryAfterSeconds: 30 });
    }
    this.senders.push(key);
    try {
      return await receive();
    } finally {
      this.senders.splice(this.senders.indexOf(key), 1);
    }
  }

  /** The file, for whoever may see the operation. */
  async send(caller: Principal, id: string, response: Response): Promise<void> {
    const operation = await this.access.find(caller, id);
    const name = fileOf(operation);
    if (name === undefined) throw new DomainError('operation_not_found', 'The operation has no file, or not yet.');
    const file = await this.sets.files.read(name);
    const { sha256 } = operation['result'] as { readonly sha256: string };
    const type = TYPES[name.slice(name.lastIndexOf('.') + 1) as keyof typeof TYPES];
    const headers = { 'X-Content-Sha256': sha256 };
    try {
      await streamFile({ name, bytes: file.bytes, type, headers, chunks: () => file.chunks() }, response);
    } catch (error) {
      if (!response.headersSent) throw error;
      response.destroy();
    }
  }

  /** Rows of a file are kept until its operation has read them: it outlives the request. */
  private async requestOf(request: ApiRequest, query: HistoricalQuery, spool: string): Promise<TrainingRequest> {
    if (!NDJSON.test(request.headers['content-type'] ?? '')) return this.bodies.historical(request);
    refuseEncoding(request);
    const { set, known_at: knownAt, format, statuses } = query;
    if (set === undefined)
      throw new DomainError('invalid_parameter', 'Name the set of the rows.', {
        faults: [{ pointer: '/set', expected: 'the name of a set, as `?set=`', received: 'nothing' }],
      });
    await this.sending(request, () => this.receive(request, spool));
    const output = outputOf({ ...(format && { format }), statuses: statuses === 'true' });
    return { set, knownAt, ...output, file: await this.sets.files.read(spool) };
  }

  private async receive(request: ApiRequest, spool: string): Promise<void> {
    const limits = { bytes: this.options.artifactBytes, timeoutMs: this.options.uploadTimeoutMs };
    const file = await this.sets.files.create(spool);
    try {
      for await (const chunk of boundedBody(request, limits)) await orStorageFull(() => file.write([chunk]));
      await file.finish();
    } catch (error) {
      await file.discard();
      throw error;
    }
  }

  private toResultView(id: string, { asked, plan, made }: Ended): Record<string, unknown> {
    const { file, rows, bytes, sha256, columns, statuses, unsettled } = made;
    const { selection } = plan;
    const warnings = warningsOf(asked, made);
    return {
      ...(asked.set === undefined ? {} : { set: asked.set }),
      ...(selection.set && { feature_set: setText(selection.set) }),
      views: viewTexts(selection),
      known_at: asked.knownAt ?? 'timestamp',
      ...{ file, rows, bytes, sha256, columns, statuses },
      ...(unsettled === true && { degraded: { reasons: ['unsettled'] } }),
      ...(warnings.length > 0 && { warnings }),
      href: `/v1/operations/${id}/result`,
      expires_at: timestamp(Date.now() + this.sets.files.keptMs),
    };
  }
}

/** Rows that are generated are none of the request. */
function warningsOf({ generate }: TrainingRequest, { beyondRetention: beyond }: TrainingResult): readonly object[] {
  if (!beyond) return [];
  const pointer = generate ? '/generate/from' : beyond.first;
  return [{ pointer, code: 'window_beyond_retention', rows: beyond.rows }];
}

/** What the event of the request says beside what is read; how many rows a file has is known when it was read. */
function toldOf({ source, format }: TrainingPlan, { file, knownAt }: TrainingRequest): Record<string, unknown> {
  return { ...(file ? { bytes: file.bytes } : { rows: source.total }), known_at: knownAt ?? 'timestamp', format };
}
