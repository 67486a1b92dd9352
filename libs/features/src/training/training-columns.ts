import type { FeatureValue, ValueType } from '../feature-value';
import type { Selection } from '../serving/selection';

export const TRAINING_FORMATS = ['ndjson', 'csv', 'parquet'] as const;
export type TrainingFormat = (typeof TRAINING_FORMATS)[number];

/** `any`: as its caller gave it. */
export type ColumnType = ValueType | 'instant' | 'any' | 'list';

export interface TrainingColumn {
  readonly name: string;
  readonly type: ColumnType;
}

/** One value of a row; columns that are kept as they came may hold anything that JSON does. */
export type Cell = FeatureValue | object | undefined;

/** A file of rows, written as they come. */
export interface TableWriter<Row = unknown> {
  /** What is kept of a row until its turn has come. */
  row(cells: readonly Cell[]): Row;
  /** Bytes of these rows, as far as they are complete. */
  write(rows: readonly Row[]): readonly Uint8Array[];
  /** The rest. */
  end(): readonly Uint8Array[];
}

/** Keys, time, further columns, features and, where they are asked for, their statuses. */
export function columnsOf(
  { views, members }: Selection,
  labels: readonly string[],
  withStatuses: boolean,
): readonly TrainingColumn[] {
  const keys = new Map(views.map(({ view }) => [view.entity.name, view.entity.type]));
  const listOf = (view: number, slot: number): boolean => views[view]?.program.plan.outputs[slot]?.list === true;
  return [
    ...[...keys].map(([name, type]): TrainingColumn => ({ name, type })),
    { name: 'timestamp', type: 'instant' },
    ...labels.map((name): TrainingColumn => ({ name, type: 'any' })),
    ...members.flatMap(({ name, type, view, slot }): TrainingColumn[] => [
      { name, type: listOf(view, slot) ? 'list' : type },
      ...(withStatuses ? [{ name: `${name}.status`, type: 'string' } as const] : []),
    ]),
  ];
}
