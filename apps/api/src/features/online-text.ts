/** Hot path: answers of reads, put together as text. */
import { instantText, jsonOf, type Micros, type ReadAnswer, type ReadRequest, type ServedRow } from '@sibyl/features';

/** Values of features, one list of values, statuses, times, ages and sources for each entity: JSON. */
export function onlineText(asked: ReadRequest, answer: ReadAnswer, totalMs: number): string {
  const { selection, at, knownAt, corrected, rows, unread, storage } = answer;
  const { set, members } = selection;
  const times = new Times(at);
  let results = '';
  let partial = false;
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i] as ServedRow;
    if (row.status !== 'OK') partial = true;
    results += `${i === 0 ? '' : ','}{"entity":${JSON.stringify(asked.rows[i]?.entity)},${rowText(row, times)}}`;
  }
  const named = set === undefined ? '' : `"set":"${set.name}@${set.hash.slice(7, 19)}",`;
  const reason = unread === 'deadline' ? 'deadline' : 'log_unavailable';
  const degraded = unread === undefined ? '' : `,"degraded":{"reasons":["${reason}"]}`;
  return (
    `{${named}"as_of":"${instantText(at)}","known_at":"${instantText(knownAt)}","corrected":${corrected},` +
    `"names":${JSON.stringify(members.map(({ name }) => name))},"results":[${results}],"partial":${partial}${degraded},` +
    `"timing":{"total_ms":${rounded(totalMs)},"storage_ms":${rounded(storage / 1000)}}}`
  );
}

function rowText({ status, values, statuses, times, sources }: ServedRow, written: Times): string {
  let [texts, states, instants, ages, origins] = ['', '', '', '', ''];
  for (let i = 0; i < values.length; i++) {
    const comma = i === 0 ? '' : ',';
    written.see(times[i] as Micros);
    texts += comma + jsonOf(values[i] ?? null);
    states += `${comma}"${statuses[i]}"`;
    instants += comma + written.instant;
    ages += comma + written.age;
    origins += `${comma}"${sources[i]}"`;
  }
  return (
    `"status":"${status}","values":[${texts}],"statuses":[${states}],"event_times":[${instants}],` +
    `"ages_ms":[${ages}],"sources":[${origins}]`
  );
}

/** Of the values of one entity most are as old as each other. */
class Times {
  instant = 'null';
  age = 'null';
  private last: Micros = Number.NaN;

  constructor(private readonly at: Micros) {}

  see(time: Micros): void {
    if (time === this.last) return;
    this.last = time;
    const known = !Number.isNaN(time);
    this.instant = known ? `"${instantText(time)}"` : 'null';
    this.age = known ? String(Math.max(0, Math.round((this.at - time) / 1000))) : 'null';
  }
}

function rounded(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
