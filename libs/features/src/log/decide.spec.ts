import { streamOf } from '../testing/test-plans';
import { decide, type EntityState, type KnownEvent } from './decide';
import type { PendingEvent } from './pending-event';

const SECOND = 1_000_000;
const NEWEST = 1000 * SECOND;
const bars = streamOf('bars', 'event_time', { close: 'double' }, { allowedLateness: 30 * SECOND });

function eventAt(eventTime: number, more: Partial<PendingEvent> = {}): PendingEvent {
  const stream = { id: 1, retentionClass: 0, definition: bars, entity: { name: 'e', type: 'string', maxLength: 256 } };
  const values = { values: [1], json: '[1]' };
  return {
    ...{ stream, entity: 'A', eventTime, eventId: 'new', named: false, provisional: false, ...values, ...more },
  } as PendingEvent;
}

const state: EntityState = { newest: NEWEST, values: [5], stamp: NEWEST };
const known = (eventId: string, stamp: number, more: Partial<KnownEvent> = {}): KnownEvent => {
  return { eventId, stamp, provisional: false, json: '[7]', ...more };
};

function resultOf(eventTime: number, others: readonly KnownEvent[] = [], more: Partial<PendingEvent> = {}): string {
  const { result, logOnly } = decide(eventAt(eventTime, more), state, { known: others, around: {} }, NEWEST + SECOND);
  return logOnly ? `${result}, for the log` : result;
}

describe('what becomes of an event', () => {
  it('is a matter of its time: newest, late, and one microsecond too late', () => {
    expect(resultOf(NEWEST + 1)).toBe('ACCEPTED');
    expect(resultOf(NEWEST)).toBe('ACCEPTED');
    expect(resultOf(NEWEST - 1)).toBe('LATE_APPLIED');
    expect(resultOf(NEWEST - 30 * SECOND)).toBe('LATE_APPLIED');
    expect(resultOf(NEWEST - 30 * SECOND - 1)).toBe('LATE_LOG_ONLY, for the log');
  });

  it('too late it corrects nothing that is served', () => {
    expect(resultOf(NEWEST - 20 * SECOND, [known('old', 1)])).toBe('CORRECTED');
    expect(resultOf(NEWEST - 31 * SECOND, [known('old', 1)])).toBe('LATE_LOG_ONLY, for the log');
  });

  it('is nothing new where it is known, and a conflict where its id stands for something else', () => {
    expect(resultOf(NEWEST, [known('new', 1)])).toBe('DUPLICATE');
    expect(resultOf(NEWEST, [known('new', 1, { json: '[1]' })], { named: true })).toBe('DUPLICATE');
    expect(resultOf(NEWEST, [known('new', 1)], { named: true })).toBe('CONFLICT');
  });

  it('a bar that is not finished comes neither after the final one nor twice with what it has', () => {
    const provisional = { provisional: true };
    expect(resultOf(NEWEST, [known('final', 1)], provisional)).toBe('CONFLICT');
    const seen = known('new', 1, { provisional: true, json: '[1]' });
    expect(resultOf(NEWEST, [seen], provisional)).toBe('DUPLICATE');
    // It went to 7 and is back at 1: which one counts is said by the stamp, not by the order.
    const moved = known('moved', 2, provisional);
    for (const others of [
      [seen, moved],
      [moved, seen],
    ])
      expect(resultOf(NEWEST, others, provisional)).toBe('CORRECTED');
  });

  it('of an entity that nobody knows is never late', () => {
    const unknown: EntityState = { newest: undefined, values: undefined, stamp: 0 };
    expect(decide(eventAt(1), unknown, { known: [], around: {} }, NEWEST)).toMatchObject({
      result: 'ACCEPTED',
      logOnly: false,
    });
  });
});
