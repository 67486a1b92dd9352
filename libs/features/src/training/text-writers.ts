import type { Cell, TableWriter, TrainingColumn } from './training-columns';

const NEEDS_QUOTES = /[",\r\n]/;

/** One JSON object a line. */
export class NdjsonWriter implements TableWriter<string> {
  private readonly names: readonly string[];

  constructor(columns: readonly TrainingColumn[]) {
    this.names = columns.map(({ name }, i) => `${i === 0 ? '{' : ','}${JSON.stringify(name)}:`);
  }

  row(cells: readonly Cell[]): string {
    // Joined, the line is one piece of text; what is made by adding is as many pieces, which are kept until it is written.
    const parts: string[] = [];
    for (let i = 0; i < this.names.length; i++) parts.push(this.names[i] as string, textOf(cells[i]));
    parts.push('}\n');
    return parts.join('');
  }

  write(lines: readonly string[]): readonly Uint8Array[] {
    return [Buffer.from(lines.join(''))];
  }

  end(): readonly Uint8Array[] {
    return [];
  }
}

/** RFC 4180 with a header; null is an empty field, an empty text `""`, and what is a list or an object stands as JSON. */
export class CsvWriter implements TableWriter<string> {
  private header: string;

  constructor(columns: readonly TrainingColumn[]) {
    this.header = this.row(columns.map(({ name }) => name));
  }

  row(cells: readonly Cell[]): string {
    return `${cells.map(field).join(',')}\r\n`;
  }

  write(lines: readonly string[]): readonly Uint8Array[] {
    const { header } = this;
    this.header = '';
    return [Buffer.from(header + lines.join(''))];
  }

  end(): readonly Uint8Array[] {
    return this.header === '' ? [] : this.write([]);
  }
}

function textOf(cell: Cell): string {
  if (typeof cell === 'number') return Number.isFinite(cell) ? String(cell) : 'null';
  return JSON.stringify(cell ?? null);
}

function field(cell: Cell): string {
  if (cell === null || cell === undefined) return '';
  if (typeof cell === 'number' || typeof cell === 'boolean') return String(cell);
  const text = typeof cell === 'string' ? cell : JSON.stringify(cell);
  return text === '' || NEEDS_QUOTES.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
