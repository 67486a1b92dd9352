import type { Cell, TableWriter, TrainingColumn } from './training-columns';

const NEEDS_QUOTES = /[",\r\n]/;

/** One JSON object a line. */
export class NdjsonWriter implements TableWriter {
  private readonly names: readonly string[];

  constructor(columns: readonly TrainingColumn[]) {
    this.names = columns.map(({ name }) => JSON.stringify(name));
  }

  write(rows: readonly (readonly Cell[])[]): readonly Uint8Array[] {
    let text = '';
    for (const row of rows) {
      let line = '{';
      for (const [i, name] of this.names.entries())
        line += `${i === 0 ? '' : ','}${name}:${JSON.stringify(row[i] ?? null)}`;
      text += `${line}}\n`;
    }
    return [Buffer.from(text)];
  }

  end(): readonly Uint8Array[] {
    return [];
  }
}

/** RFC 4180 with a header; null is an empty field, an empty text `""`, and what is a list or an object stands as JSON. */
export class CsvWriter implements TableWriter {
  private header: string;

  constructor(columns: readonly TrainingColumn[]) {
    this.header = `${columns.map(({ name }) => field(name)).join(',')}\r\n`;
  }

  write(rows: readonly (readonly Cell[])[]): readonly Uint8Array[] {
    let text = this.header;
    this.header = '';
    for (const row of rows) text += `${row.map(field).join(',')}\r\n`;
    return [Buffer.from(text)];
  }

  end(): readonly Uint8Array[] {
    return this.header === '' ? [] : this.write([]);
  }
}

function field(cell: Cell): string {
  if (cell === null || cell === undefined) return '';
  if (typeof cell === 'number' || typeof cell === 'boolean') return String(cell);
  const text = typeof cell === 'string' ? cell : JSON.stringify(cell);
  return text === '' || NEEDS_QUOTES.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
