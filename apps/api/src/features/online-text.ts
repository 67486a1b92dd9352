/** Hot path: answers of reads, put together as text. */
import type { Clock, Pace } from '@sibyl/kernel';
import { instantText, type Micros, type ReadAnswer, type RowOrigin, type ServedRow } from '@sibyl/features';
import { GrowingText, type JsonText } from '@sibyl/protocol';
import type { OnlineRequest } from './read-body';
import { reasonsOf } from './read-reasons';

/** Rows that are put together at once; more are in slices. */
const ROWS_AT_ONCE = 100;

interface Course {
  /** When the read began, by the clock's own count. */
  readonly begun: number;
  readonly clock: Clock;
  readonly pace: Pace;
}

/** Values of features, one list of values, statuses, times, ages and sources for each entity: JSON. */
export async function onlineText(
  asked: OnlineRequest,
  answer: ReadAnswer,
  { begun, clock, pace }: Course,
): Promise<JsonText> {
  const { selection, at, knownAt, corrected, rows, storage, origins, ahead, beyondRetention } = answer;
  const { set, members } = selection;
  const named = set === undefined ? '' : `"${asked.called}":"${set.name}@${set.hash.slice(7, 19)}",`;
  const text = new GrowingText();
  text.add(
    `{${named}"as_of":"${instantText(at)}","known_at":"${instantText(knownAt)}","corrected":${corrected},` +
      `"names":${JSON.stringify(members.map(({ name }) => name))},"results":[`,
  );
  for (const [i, row] of rows.entries()) {
    if (i >= ROWS_AT_ONCE && pace.due) await pace.next();
    const comma = i === 0 ? '' : ',';
    const more = row.status === 'NOT_FOUND' ? UNKNOWN : '';
    const meta = origins === undefined ? '' : metaText(row, origins[i] as RowOrigin, at);
    text.add(`${comma}{"entity":${JSON.stringify(asked.rows[i]?.entity)},${rowText(row, at)}${more}${meta}}`);
  }
  const reasons = reasonsOf(answer);
  const warned = ahead.length > 0 || beyondRetention;
  const warnings = warned ? `,"warnings":${JSON.stringify(warningsOf(answer))}` : '';
  const degraded = reasons.length === 0 ? '' : `,"degraded":{"reasons":["${reasons.join('","')}"]}`;
  text.add(
    `],"partial":${isPartial(answer)}${warnings}${degraded},` +
      `"timing":{"total_ms":${rounded(clock.monotonic() - begun)},"storage_ms":${rounded(storage / 1000)}}}`,
  );
  return text.end();
}

function warningsOf({ ahead, beyondRetention }: ReadAnswer): object[] {
  const clamped = ahead.map((pointer) => ({ pointer, code: 'timestamp_clamped' }));
  return beyondRetention ? [...clamped, { pointer: '/timestamp', code: 'window_beyond_retention' }] : clamped;
}

const UNKNOWN = ',"error":{"code":"entity_not_found"}';

/** Some values are not there. */
export function isPartial({ rows }: ReadAnswer): boolean {
  return rows.some(({ status }) => status !== 'OK');
}

/** What a row rests on, for those who ask. */
function metaText({ sources }: ServedRow, { eventTime, ingestedAt, tier }: RowOrigin, at: Micros): string {
  const instant = (time: Micros): string | null => (Number.isNaN(time) ? null : instantText(time));
  const age = Number.isNaN(eventTime) ? null : Math.max(0, Math.round((at - eventTime) / 1000));
  const times = { event_time: instant(eventTime), ingested_at: instant(ingestedAt), age_ms: age };
  return `,"meta":${JSON.stringify({ ...times, sources, cache: tier })}`;
}

function rowText({ status, texts }: ServedRow, at: Micros): string {
  const { values, statuses, times, sources } = texts.lists;
  return (
    `"status":"${status}","values":${values},"statuses":${statuses},"event_times":${times},` +
    `"ages_ms":${texts.ages(at)},"sources":${sources}`
  );
}

function rounded(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
