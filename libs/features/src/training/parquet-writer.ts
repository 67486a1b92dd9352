import { DomainError } from '@sibyl/kernel';
import { ByteWriter, ParquetWriter, type SchemaElement } from 'hyparquet-writer';
import { readInstant } from '../log/instant';
import type { Cell, TableWriter, TrainingColumn } from './training-columns';

/** Values of one row group: some ten milliseconds of work, and a megabyte or two of memory. */
const GROUP_CELLS = 50_000;
const GROUP_ROWS = 5000;

type LeafType = 'double' | 'int' | 'bool' | 'string' | 'instant' | 'json';

/** Parquet, one row group after the other; columns that are kept as they came have the type of their values in the first one. */
export class ParquetTable implements TableWriter<readonly Cell[]> {
  private readonly bytes = new ByteWriter();
  private readonly groupRows: number;
  private rows: (readonly Cell[])[] = [];
  private written = 0;
  private types: readonly LeafType[] | undefined;
  private parquet: ParquetWriter | undefined;

  constructor(private readonly columns: readonly TrainingColumn[]) {
    this.groupRows = Math.min(GROUP_ROWS, Math.max(100, Math.floor(GROUP_CELLS / columns.length)));
  }

  row(cells: readonly Cell[]): readonly Cell[] {
    return cells;
  }

  write(rows: readonly (readonly Cell[])[]): readonly Uint8Array[] {
    this.rows.push(...rows);
    const chunks: Uint8Array[] = [];
    while (this.rows.length >= this.groupRows) chunks.push(this.group(this.rows.splice(0, this.groupRows)));
    return chunks;
  }

  end(): readonly Uint8Array[] {
    const chunks = this.rows.length > 0 || !this.parquet ? [this.group(this.rows.splice(0))] : [];
    void this.parquet?.finish();
    return [...chunks, this.taken()];
  }

  private group(rows: readonly (readonly Cell[])[]): Uint8Array {
    this.types ??= this.columns.map(({ type }, i) => leafType(type, rows, i));
    this.parquet ??= new ParquetWriter({
      writer: this.bytes,
      schema: [
        { name: 'root', num_children: this.columns.length },
        ...this.columns.map(({ name }, i) => element(name, this.types?.[i] ?? 'string')),
      ],
      createdBy: 'sibyl',
    });
    const columnData = this.columns.map(({ name }, i) => {
      const type = this.types?.[i] ?? 'string';
      const data = rows.map((row, n) => leaf(row[i], type, name, this.written + n));
      return { name, data, offsetIndex: false };
    });
    void this.parquet.write({ columnData, rowGroupSize: Math.max(1, rows.length) });
    this.written += rows.length;
    return this.taken();
  }

  /** What was written since; the writer goes on counting from the beginning of the file. */
  private taken(): Uint8Array {
    const taken = this.bytes.getBytes().slice();
    this.bytes.index = 0;
    return taken;
  }
}

function leafType(type: TrainingColumn['type'], rows: readonly (readonly Cell[])[], column: number): LeafType {
  if (type === 'list') return 'json';
  if (type !== 'any') return type;
  const kinds = new Set(
    rows
      .map((row) => row[column] ?? null)
      .filter((cell) => cell !== null)
      .map((cell) => typeof cell),
  );
  if (kinds.size === 1 && kinds.has('number')) return 'double';
  if (kinds.size === 1 && kinds.has('boolean')) return 'bool';
  return kinds.size > 1 || kinds.has('object') ? 'json' : 'string';
}

function element(name: string, type: LeafType): SchemaElement {
  const base = { name, repetition_type: 'OPTIONAL' } as const;
  switch (type) {
    case 'double':
      return { ...base, type: 'DOUBLE' };
    case 'int':
      return { ...base, type: 'INT64' };
    case 'bool':
      return { ...base, type: 'BOOLEAN' };
    case 'instant':
      return { ...base, type: 'INT64', converted_type: 'TIMESTAMP_MICROS' };
    case 'string':
    case 'json':
      return { ...base, type: 'BYTE_ARRAY', converted_type: 'UTF8' };
  }
}

function leaf(cell: Cell, type: LeafType, column: string, row: number): unknown {
  if (cell === null || cell === undefined) return null;
  switch (type) {
    case 'double':
      return typeof cell === 'number' ? cell : mixed(column, row, 'a number');
    case 'int':
      return BigInt(cell as number);
    case 'bool':
      return typeof cell === 'boolean' ? cell : mixed(column, row, 'true or false');
    case 'instant':
      return BigInt(readInstant(cell) ?? mixed(column, row, 'a time'));
    case 'string':
      return typeof cell === 'string' ? cell : mixed(column, row, 'text');
    case 'json':
      return JSON.stringify(cell);
  }
}

function mixed(column: string, row: number, expected: string): never {
  throw new DomainError('invalid_parameter', 'A column of a Parquet file has one type: that of its first rows.', {
    faults: [{ pointer: `/rows/${row}/${column.slice(0, 64)}`, expected }],
  });
}
