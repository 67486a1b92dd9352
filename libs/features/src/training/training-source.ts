import type { Database } from '@sibyl/database';
import { DomainError } from '@sibyl/kernel';
import { patiently } from '../log/patience';
import { linesOf } from '../log/line-upload';
import type { LoggedStream } from '../log/stream-catalog';
import { requestFault } from '../request-fault';
import { instantText, type Micros } from '../time';
import type { GivenRow } from './training-row';

const PAGE = 1000;

/** Where rows come from, and how many there are or, of a file, how many bytes. */
export interface TrainingSource {
  readonly total: number;
  /** How far it is, as `total` counts. */
  done(): number;
  rows(signal: AbortSignal): AsyncIterable<GivenRow>;
}

export function givenRows(rows: readonly GivenRow[]): TrainingSource {
  let done = 0;
  return {
    total: rows.length,
    done: () => done,
    // eslint-disable-next-line @typescript-eslint/require-await -- the others wait
    async *rows() {
      for (const row of rows) {
        done += 1;
        yield row;
      }
    },
  };
}

/** JSON lines. */
export function fileRows(bytes: number, chunks: () => AsyncIterable<Buffer>): TrainingSource {
  let done = 0;
  async function* counted(): AsyncGenerator<Buffer> {
    for await (const chunk of chunks()) {
      done += chunk.length;
      yield chunk;
    }
  }
  return {
    total: bytes,
    done: () => done,
    async *rows() {
      let line = 0;
      for await (const text of linesOf(counted())) {
        line += 1;
        if (text.trim() === '') continue;
        yield parsed(text, line);
      }
    },
  };
}

function parsed(text: string, line: number): GivenRow {
  try {
    return JSON.parse(text) as GivenRow;
  } catch {
    const fault = requestFault(`/rows/${line - 1}`, 'one JSON object a line', text);
    throw new DomainError('invalid_parameter', 'A line is no JSON.', { faults: [fault] });
  }
}

export interface Grid {
  readonly from: Micros;
  readonly to: Micros;
  readonly step: Micros;
}

/** Every entity of a stream at every moment of a grid, one entity after the other. */
export function gridRows(
  database: Database,
  { id, entity }: LoggedStream,
  { from, to, step }: Grid,
  entities: number,
): TrainingSource {
  const times = Math.floor((to - from) / step) + 1;
  let done = 0;
  return {
    total: entities * times,
    done: () => done,
    async *rows(signal) {
      for await (const key of entitiesOf(database, id, signal)) {
        for (let i = 0; i < times; i++) {
          done += 1;
          yield { [entity.name]: entity.type === 'int' ? Number(key) : key, timestamp: instantText(from + i * step) };
        }
      }
    },
  };
}

export async function countEntities(database: Database, { id }: LoggedStream): Promise<number> {
  const [row] = await database.query<{ n: string }>('SELECT count(*) AS n FROM features.latest WHERE stream = $1', [
    id,
  ]);
  return Number(row?.n ?? 0);
}

/** In the order of their keys, so many at a time. */
export async function* entitiesOf(database: Database, stream: number, signal: AbortSignal): AsyncGenerator<string> {
  const sql = `SELECT entity FROM features.latest WHERE stream = $1 AND entity > $2 ORDER BY entity LIMIT ${PAGE}`;
  for (let after = ''; ;) {
    const from = [stream, after];
    const rows = await patiently(() => database.query<{ entity: string }>(sql, from), signal);
    for (const { entity } of rows) yield entity;
    if (rows.length < PAGE) return;
    after = rows.at(-1)?.entity ?? '';
  }
}
