import { DomainError, TURNS, type FieldFault } from '@sibyl/kernel';
import type { OnlineRow, PastMoment } from '../engine/online-query';
import type { Program } from '../engine/program';
import { INSTANT_EXPECTED, readInstant } from '../log/instant';
import type { EntityRule, StreamDefinition } from '../definitions/feature-view';
import { pointerTo } from '../definitions/definition-faults';
import { readKeys } from '../log/entity-key';
import { placeOf, requestFault } from '../request-fault';
import { readValues, type GivenValues } from '../serving/entity-rows';
import { beforeRetention, leastKept, reachesBeyondRetention } from '../serving/retention';
import type { Selection } from '../serving/selection';
import type { Micros } from '../time';

/** The column with what a request would give, by either name. */
const [GIVEN, FEATURES] = ['given', 'features'];
const LABELS_MAX = 256;
const FAULTS = 64;

/** One row of a training set before it has values: keys, `timestamp`, and columns that are kept as they came. */
export type GivenRow = Readonly<Record<string, unknown>>;

/** Whose knowledge counts: that of the row's own moment, of now (with corrections), or of one moment for all. */
export type KnownAt = 'row' | 'now' | Micros;

export interface ReadRow {
  readonly given: GivenRow;
  readonly at: Micros;
  readonly row: OnlineRow;
  readonly moment: PastMoment;
}

/** Rows of which a window by time begins before its stream is kept. */
export interface RowsBeyondRetention {
  /** Pointer of the first one. */
  readonly first: string;
  readonly rows: number;
}

/** Reads rows in their order; columns are those of the first row. */
export class RowReader {
  /** Known after the first row. */
  labels: readonly string[] | undefined;
  readonly keys: readonly string[];
  /** So far; undefined: none. */
  beyondRetention: RowsBeyondRetention | undefined;
  private read = 0;
  /** Features that only a request knows: a column of their name gives them, as `given` does. */
  private readonly requested: ReadonlySet<string>;
  /** Columns that are not kept beside the features: they are among them, or `given`. */
  private readonly dropped: ReadonlySet<string>;
  private readonly rules: readonly EntityRule[];
  private readonly kept: StreamDefinition | undefined;
  private readonly oldest: Micros;

  constructor(
    private readonly selection: Selection,
    private readonly known: KnownAt,
    private readonly now: Micros,
  ) {
    this.rules = selection.views.map(({ view }) => view.entity);
    this.keys = [...new Set(this.rules.map(({ name }) => name))];
    const members = selection.members.flatMap(({ name, source }) => (source === 'request' ? [name] : []));
    this.requested = new Set([...members, ...selection.programs.flatMap(requestFeatures)]);
    this.dropped = new Set(['timestamp', GIVEN, FEATURES, ...members, ...this.keys]);
    this.kept = leastKept(selection);
    this.oldest = this.kept ? now - this.kept.retention : Number.NEGATIVE_INFINITY;
  }

  /** Throws invalid_parameter with all faults of these rows, timestamp_before_retention where they have no other. */
  async rows(given: readonly GivenRow[]): Promise<ReadRow[]> {
    const faults: FieldFault[] = [];
    const rows: ReadRow[] = [];
    const ancient: { readonly pointer: string; readonly at: Micros }[] = [];
    for (const one of given) {
      if (TURNS.due) await TURNS.next();
      const pointer = `/rows/${this.read++}`;
      const row = this.row(one, pointer, faults);
      if (row) rows.push(row);
      if (row && reachesBeyondRetention(this.selection, row.at, this.now)) this.countBeyond(`${pointer}/timestamp`);
      if (row && row.at < this.oldest) ancient.push({ pointer: `${pointer}/timestamp`, at: row.at });
      if (faults.length + ancient.length >= FAULTS) break;
    }
    if (faults.length === 0 && this.kept && ancient.length > 0) throw beforeRetention(this.kept, this.now, ancient);
    if (faults.length === 0) return rows;
    throw new DomainError('invalid_parameter', 'Some of the rows cannot be read.', { faults: faults.slice(0, FAULTS) });
  }

  private countBeyond(pointer: string): void {
    const { first, rows } = this.beyondRetention ?? { first: pointer, rows: 0 };
    this.beyondRetention = { first, rows: rows + 1 };
  }

  private row(given: GivenRow, pointer: string, faults: FieldFault[]): ReadRow | undefined {
    const before = faults.length;
    if (typeof given !== 'object' || given === null || Array.isArray(given)) {
      const expected = 'an object with the keys of entities, timestamp, and any further columns';
      faults.push(requestFault(pointer, expected, given));
      return undefined;
    }
    this.checkColumns(given, pointer, faults);
    const { timestamp } = given;
    const at = readInstant(timestamp);
    const time = at === undefined ? INSTANT_EXPECTED : at > this.now && 'a time that has come';
    if (time !== false) faults.push(requestFault(`${pointer}/timestamp`, time, timestamp));
    const entity: Record<string, unknown> = {};
    for (const key of this.keys) if (Object.hasOwn(given, key)) entity[key] = given[key];
    const entities = readKeys(this.rules, entity, placeOf(pointer), faults);
    const values = this.valuesOf(given, pointer, faults);
    if (faults.length > before || at === undefined) return undefined;
    return { given, at, row: { entities, ...(values && { given: values }) }, moment: this.moment(at) };
  }

  /** What the row gives, as a request gives it to a read. */
  private valuesOf(row: GivenRow, pointer: string, faults: FieldFault[]): OnlineRow['given'] {
    const from: GivenValues[] = [];
    const names = Object.keys(row).filter((name) => this.requested.has(name));
    if (names.length > 0) {
      const columns = Object.fromEntries(names.map((name) => [name, row[name]]));
      from.push({ given: columns, at: placeOf(pointer) });
    }
    const { [GIVEN]: given, [FEATURES]: features } = row;
    if (!isAbsent(given)) from.push({ given, at: placeOf(`${pointer}/${GIVEN}`) });
    if (!isAbsent(features) && !isAbsent(given))
      faults.push(requestFault(`${pointer}/${FEATURES}`, `not both '${GIVEN}' and '${FEATURES}'`, features));
    else if (!isAbsent(features)) from.push({ given: features, at: placeOf(`${pointer}/${FEATURES}`) });
    return from.length === 0 ? undefined : readValues(this.selection, from, faults);
  }

  private moment(at: Micros): PastMoment {
    if (this.known === 'row') return { at, knownAt: at, corrected: false };
    if (this.known === 'now') return { at, knownAt: this.now, corrected: true };
    return { at, knownAt: this.known, corrected: this.known > at };
  }

  private checkColumns(given: GivenRow, pointer: string, faults: FieldFault[]): void {
    const labels = Object.keys(given).filter((name) => !this.dropped.has(name));
    if (this.labels === undefined) {
      const taken = new Set(this.selection.members.flatMap(({ name }) => [name, `${name}.status`]));
      for (const name of labels)
        if (taken.has(name))
          faults.push(requestFault(pointerTo(pointer, name), 'a name that no feature has', given[name]));
      if (labels.length > LABELS_MAX) {
        const expected = `at most ${LABELS_MAX} further columns`;
        faults.push({ pointer, expected, received: `${labels.length} further columns` });
      }
      this.labels = labels;
      return;
    }
    for (const name of labels)
      if (!this.labels.includes(name))
        faults.push(requestFault(pointerTo(pointer, name), 'a column of the first row', given[name]));
  }
}

function isAbsent(given: unknown): boolean {
  return given === undefined || given === null;
}

/** By the names of the view. */
function requestFeatures({ plan, slots }: Program): string[] {
  return [...slots].flatMap(([name, slot]) => {
    const step = plan.steps[plan.outputs[slot]?.step ?? -1];
    return step?.kind === 'request' ? [name] : [];
  });
}
