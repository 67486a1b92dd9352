import type { Database } from '@sibyl/database';
import { DomainError, TURNS } from '@sibyl/kernel';
import { INSTANT_EXPECTED, readInstant } from '../log/instant';
import { DURATION_EXPECTED, parseDuration } from '../definitions/duration';
import type { Frame } from '../engine/frame';
import type { ValueStatus } from '../feature-value';
import type { Settlement } from '../log/settlement';
import type { LoggedStream, StreamCatalog } from '../log/stream-catalog';
import type { FeatureReads } from '../serving/feature-reads';
import { requestFault } from '../request-fault';
import { inFuture } from '../serving/moment';
import { checkRetention } from '../serving/retention';
import type { Selection } from '../serving/selection';
import { servedRow, type ServedRow } from '../serving/served-row';
import { MICROS_PER_MS, type Micros } from '../time';
import { ParquetTable } from './parquet-writer';
import { CsvWriter, NdjsonWriter } from './text-writers';
import { columnsOf, type Cell, type TableWriter, type TrainingColumn, type TrainingFormat } from './training-columns';
import type { TrainingFile, TrainingFiles } from './training-files';
import { nameOf } from './training-name';
import { RowReader, type GivenRow, type KnownAt, type ReadRow, type RowsBeyondRetention } from './training-row';
import { countEntities, fileRows, givenRows, gridRows, type Grid, type TrainingSource } from './training-source';

/** Rows whose entities share what is read, as many as have about so many values between them: some megabytes. */
const SLICE_VALUES = 100_000;
const SLICE_ROWS = 5000;
/** Rows that are made to bytes at once. */
const PORTION = 250;
const ROWS_MAX = 100_000_000;
/** So long a training set waits, once, until all that has arrived by now is known. */
const SETTLE_MS = 2000;

/** All entities of a stream at each step of a time. */
export interface GridRequest {
  readonly stream: string;
  readonly from: unknown;
  readonly to?: unknown;
  readonly step: unknown;
}

export interface TrainingRequest {
  readonly set?: string;
  readonly features?: readonly string[];
  readonly format: TrainingFormat;
  readonly knownAt?: unknown;
  readonly statuses: boolean;
  /** Exactly one of these. */
  readonly rows?: readonly GivenRow[];
  readonly file?: { readonly bytes: number; chunks(): AsyncIterable<Buffer> };
  readonly generate?: GridRequest;
}

/** A request that was checked, as far as that is possible without reading its rows. */
export interface TrainingPlan {
  /** Whose share of the room the file takes. */
  readonly caller: string;
  readonly selection: Selection;
  readonly source: TrainingSource;
  readonly format: TrainingFormat;
  readonly known: KnownAt;
  readonly statuses: boolean;
  readonly now: Micros;
}

export interface TrainingResult {
  readonly file: string;
  readonly rows: number;
  readonly bytes: number;
  readonly sha256: string;
  readonly columns: readonly TrainingColumn[];
  /** Values by status. */
  readonly statuses: Readonly<Partial<Record<ValueStatus, number>>>;
  /** Some of what had arrived at the newest moments was being committed still: made again, it may have other values. */
  readonly unsettled?: boolean;
  readonly beyondRetention?: RowsBeyondRetention | undefined;
}

export interface LongRun {
  readonly signal: AbortSignal;
  readonly onProgress: (done: number, total: number, what: string) => void;
}

export interface TrainingParts {
  readonly reads: FeatureReads;
  readonly files: TrainingFiles;
  readonly database: Database;
  readonly streams: StreamCatalog;
  readonly settlement: Settlement;
  readonly now: () => Micros;
  readonly clockSkewMs: number;
}

/** Training sets as of moments of the past, computed by what serves, and written to files. */
export class TrainingSets {
  constructor(private readonly parts: TrainingParts) {}

  get files(): TrainingFiles {
    return this.parts.files;
  }

  async prepare(caller: string, request: TrainingRequest): Promise<TrainingPlan> {
    const selection = await this.parts.reads.select(request);
    const now = this.parts.now();
    const { format, statuses } = request;
    const known = knownAtOf(request.knownAt, now);
    return { caller, selection, format, statuses, known, now, source: await this.sourceOf(request, selection, now) };
  }

  /** Writes a file; stopped or failed, it leaves none. */
  async write(plan: TrainingPlan, id: string, run: LongRun): Promise<TrainingResult> {
    const name = nameOf(id, plan.caller, plan.format);
    const file = await this.parts.files.create(name);
    try {
      const writing = new Writing(plan, file);
      await this.fill(plan, writing, run);
      return { file: name, ...(await writing.end()) };
    } catch (error) {
      await file.discard();
      throw error;
    }
  }

  private async fill(plan: TrainingPlan, writing: Writing, { signal, onProgress }: LongRun): Promise<void> {
    const { selection, source } = plan;
    const reader = writing.reader;
    const size = sliceRows(selection);
    let batch: GivenRow[] = [];
    const flush = async (): Promise<void> => {
      signal.throwIfAborted();
      const rows = await reader.rows(batch);
      batch = [];
      await writing.settle(this.parts.settlement, rows);
      const slice = writing.slice(rows);
      await this.parts.reads.readEach(
        selection,
        rows.map(({ row }) => row),
        rows.map(({ moment }) => moment),
        { signal, onRow: (row, frames) => slice.put(row, frames) },
      );
      await slice.end();
      onProgress(source.done(), source.total, 'values');
    };
    for await (const row of source.rows(signal)) {
      batch.push(row);
      if (batch.length >= size) await flush();
      if (TURNS.due) await TURNS.next();
    }
    if (batch.length > 0) await flush();
    signal.throwIfAborted();
  }

  private async sourceOf(
    { rows, file, generate }: TrainingRequest,
    selection: Selection,
    now: Micros,
  ): Promise<TrainingSource> {
    if (rows) return givenRows(rows);
    if (file) return fileRows(file.bytes, () => file.chunks());
    if (!generate) throw wrong('/rows', 'rows, or generate', rows);
    const { database, streams } = this.parts;
    const stream = streams.stream(generate.stream);
    if (!stream) throw new DomainError('stream_not_found', `There is no stream '${generate.stream.slice(0, 64)}'.`);
    requireEntity(selection, stream);
    const grid = gridOf(generate, { now, skew: this.parts.clockSkewMs * MICROS_PER_MS });
    checkRetention(selection, grid.from, now, '/generate/from');
    const source = gridRows(database, stream, grid, await countEntities(database, stream));
    if (source.total <= ROWS_MAX) return source;
    throw new DomainError('batch_too_large', `A training set may have ${ROWS_MAX} rows; these are ${source.total}.`);
  }
}

/** Values on their way into the file. */
class Writing {
  readonly reader: RowReader;
  private table: TableWriter | undefined;
  private columns: readonly TrainingColumn[] = [];
  private readonly counts: Partial<Record<ValueStatus, number>> = {};
  private written = 0;
  /** Undefined: there was no moment that had to be waited for. */
  private settled: boolean | undefined;

  constructor(
    private readonly plan: TrainingPlan,
    private readonly file: TrainingFile,
  ) {
    this.reader = new RowReader(plan.selection, plan.known, plan.now);
  }

  /** Waits for the newest moment that there can be, when the first one comes of which not all is known. */
  async settle(settlement: Settlement, rows: readonly ReadRow[]): Promise<void> {
    if (this.settled !== undefined || rows.every(({ moment }) => settlement.has(moment.knownAt))) return;
    this.settled = await settlement.reach(this.plan.now, SETTLE_MS);
  }

  /** Rows that come in any order and are written in their own. */
  slice(rows: readonly ReadRow[]): { put(row: number, frames: readonly Frame[]): void; end(): Promise<void> } {
    const table = this.opened();
    const lines = new Array<unknown>(rows.length);
    return {
      put: (row, frames) => {
        const { given } = rows[row] as ReadRow;
        lines[row] = table.row(this.cells(given, servedRow(this.plan.selection, frames)));
      },
      end: async () => {
        this.written += rows.length;
        if (this.written > ROWS_MAX)
          throw new DomainError('batch_too_large', `A training set may have ${ROWS_MAX} rows.`);
        for (let i = 0; i < lines.length; i += PORTION) {
          if (TURNS.due) await TURNS.next();
          await this.file.write(table.write(lines.slice(i, i + PORTION)));
        }
      },
    };
  }

  async end(): Promise<Omit<TrainingResult, 'file'>> {
    await this.file.write(this.opened().end());
    const { columns, counts: statuses, written: rows } = this;
    const unsettled = this.settled === false && { unsettled: true };
    const { beyondRetention } = this.reader;
    return { rows, columns, statuses, ...(await this.file.finish()), ...unsettled, beyondRetention };
  }

  private opened(): TableWriter {
    if (this.table) return this.table;
    const { selection, format, statuses } = this.plan;
    this.columns = columnsOf(selection, this.reader.labels ?? [], statuses);
    return (this.table = writerOf(format, this.columns));
  }

  private cells(given: GivenRow, { values, statuses }: ServedRow): Cell[] {
    const cells: Cell[] = this.reader.keys.map((key) => given[key] as Cell);
    cells.push(given['timestamp'] as Cell);
    for (const name of this.reader.labels ?? []) cells.push(given[name] as Cell);
    for (const [i, status] of statuses.entries()) {
      this.counts[status] = (this.counts[status] ?? 0) + 1;
      cells.push(values[i]);
      if (this.plan.statuses) cells.push(status);
    }
    return cells;
  }
}

function writerOf(format: TrainingFormat, columns: readonly TrainingColumn[]): TableWriter {
  if (format === 'parquet') return new ParquetTable(columns);
  return format === 'csv' ? new CsvWriter(columns) : new NdjsonWriter(columns);
}

export function sliceRows({ views }: Selection): number {
  const slots = views.reduce((sum, { program }) => sum + program.plan.outputs.length, 0);
  return Math.max(1, Math.min(SLICE_ROWS, Math.floor(SLICE_VALUES / Math.max(1, slots))));
}

function knownAtOf(given: unknown, now: Micros): KnownAt {
  if (given === undefined || given === null) return 'row';
  if (given === 'now') return 'now';
  const at = readInstant(given);
  if (at === undefined) throw wrong('/known_at', `now, or ${INSTANT_EXPECTED}`, given);
  return Math.min(at, now);
}

/** Clocks of callers run ahead by up to `skew`. Throws invalid_parameter, timestamp_in_future. */
export function gridOf(
  { from, to, step }: Omit<GridRequest, 'stream'>,
  { now, skew }: { readonly now: Micros; readonly skew: Micros },
  at = '/generate',
): Grid {
  const begin = readInstant(from);
  if (begin === undefined) throw wrong(`${at}/from`, INSTANT_EXPECTED, from);
  const end = to === undefined ? now : readInstant(to);
  if (end === undefined || end < begin) throw wrong(`${at}/to`, 'a time after from', to);
  if (end > now + skew) throw inFuture(`${at}/to`, now, to);
  const pace = typeof step === 'string' ? parseDuration(step) : undefined;
  if (pace === undefined || pace <= 0) throw wrong(`${at}/step`, DURATION_EXPECTED, step);
  return { from: begin, to: Math.min(end, now), step: pace };
}

/** Its keys are all that the rows have of entities. */
function requireEntity({ views }: Selection, { entity, definition }: LoggedStream): void {
  const other = views.find(({ view }) => view.entity.name !== entity.name);
  if (!other) return;
  const { name, entity: needed } = other.view;
  throw wrong(
    '/generate/stream',
    `a stream of the entity '${needed.name}', as '${name}' is; this is of '${entity.name}'`,
    definition.name,
  );
}

function wrong(pointer: string, expected: string, given: unknown): DomainError {
  return new DomainError('invalid_parameter', `Wrong or missing: ${pointer.slice(1)}.`, {
    faults: [requestFault(pointer, expected, given)],
  });
}
