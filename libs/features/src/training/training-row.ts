import { DomainError, TURNS, type FieldFault } from '@sibyl/kernel';
import type { OnlineRow, PastMoment } from '../engine/online-query';
import type { Program } from '../engine/program';
import { INSTANT_EXPECTED, readInstant } from '../log/instant';
import type { StreamDefinition } from '../definitions/feature-view';
import { readKeys, readValues } from '../serving/entity-rows';
import { beforeRetention, leastKept } from '../serving/retention';
import type { Selection } from '../serving/selection';
import type { Micros } from '../time';

/** The column with what a request would give. */
const GIVEN = 'given';
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

/** Reads rows in their order; columns are those of the first row. */
export class RowReader {
  /** Known after the first row. */
  labels: readonly string[] | undefined;
  readonly keys: readonly string[];
  private read = 0;
  /** Features that only a request knows: a column of their name gives them, as `given` does. */
  private readonly requested: ReadonlySet<string>;
  /** Columns that are not kept beside the features: they are among them, or `given`. */
  private readonly dropped: ReadonlySet<string>;
  private readonly kept: StreamDefinition | undefined;
  private readonly oldest: Micros;

  constructor(
    private readonly selection: Selection,
    private readonly known: KnownAt,
    private readonly now: Micros,
  ) {
    this.keys = [...new Set(selection.views.map(({ view }) => view.entity.name))];
    const members = selection.members.flatMap(({ name, source }) => (source === 'request' ? [name] : []));
    this.requested = new Set([...members, ...selection.programs.flatMap(requestFeatures)]);
    this.dropped = new Set(['timestamp', GIVEN, ...members, ...this.keys]);
    this.kept = leastKept(selection);
    this.oldest = this.kept ? now - this.kept.retention : Number.NEGATIVE_INFINITY;
  }

  /** Throws invalid_parameter with all faults of these rows, timestamp_before_retention where they have no other. */
  async rows(given: readonly GivenRow[]): Promise<ReadRow[]> {
    const faults: FieldFault[] = [];
    const rows: ReadRow[] = [];
    const ancient: string[] = [];
    for (const one of given) {
      if (TURNS.due) await TURNS.next();
      const pointer = `/rows/${this.read++}`;
      const row = this.row(one, pointer, faults);
      if (row) rows.push(row);
      if (row && row.at < this.oldest) ancient.push(`${pointer}/timestamp`);
      if (faults.length + ancient.length >= FAULTS) break;
    }
    if (faults.length === 0 && this.kept && ancient.length > 0) throw beforeRetention(this.kept, this.now, ancient);
    if (faults.length === 0) return rows;
    throw new DomainError('invalid_parameter', 'Some of the rows cannot be read.', { faults: faults.slice(0, FAULTS) });
  }

  private row(given: GivenRow, pointer: string, faults: FieldFault[]): ReadRow | undefined {
    const before = faults.length;
    if (typeof given !== 'object' || given === null || Array.isArray(given)) {
      faults.push({ pointer, expected: 'an object with the keys of entities, timestamp, and any further columns' });
      return undefined;
    }
    this.checkColumns(given, pointer, faults);
    const at = readInstant(given['timestamp']);
    if (at === undefined) faults.push({ pointer: `${pointer}/timestamp`, expected: INSTANT_EXPECTED });
    else if (at > this.now) faults.push({ pointer: `${pointer}/timestamp`, expected: 'a time that has come' });
    const entity: Record<string, unknown> = {};
    for (const key of this.keys) if (Object.hasOwn(given, key)) entity[key] = given[key];
    const entities = readKeys(this.selection, entity, pointer, faults);
    const values = this.valuesOf(given, pointer, faults);
    if (faults.length > before || at === undefined) return undefined;
    return { given, at, row: { entities, ...(values && { given: values }) }, moment: this.moment(at) };
  }

  /** What the row gives, as a request gives it to a read. */
  private valuesOf(row: GivenRow, pointer: string, faults: FieldFault[]): OnlineRow['given'] {
    const names = Object.keys(row).filter((name) => this.requested.has(name));
    if (row[GIVEN] === undefined && names.length === 0) return undefined;
    const columns = Object.fromEntries(names.map((name) => [name, row[name]]));
    const own = row[GIVEN] ?? {};
    const isObject = typeof own === 'object' && !Array.isArray(own);
    return readValues(this.selection, isObject ? { ...columns, ...own } : own, `${pointer}/${GIVEN}`, faults);
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
        if (taken.has(name)) faults.push({ pointer: `${pointer}/${name}`, expected: 'a name that no feature has' });
      if (labels.length > LABELS_MAX) faults.push({ pointer, expected: `at most ${LABELS_MAX} further columns` });
      this.labels = labels;
      return;
    }
    for (const name of labels)
      if (!this.labels.includes(name))
        faults.push({ pointer: `${pointer}/${name.slice(0, 64)}`, expected: 'a column of the first row' });
  }
}

/** By the names of the view. */
function requestFeatures({ plan, slots }: Program): string[] {
  return [...slots].flatMap(([name, slot]) => {
    const step = plan.steps[plan.outputs[slot]?.step ?? -1];
    return step?.kind === 'request' ? [name] : [];
  });
}
