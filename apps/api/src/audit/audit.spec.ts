import type { AuditEvent, AuditLog, RecordedPrediction } from '@sibyl/audit';
import type { Principal } from '@sibyl/auth';
import { toEventFilter, toPageRequest, toPredictionText } from './audit.view';
import { KnownEvents } from './known-events';
import { RecordedPredictions } from './recorded-predictions';

const EVENT = {
  id: 'e-1',
  recorded_at: '2026-01-15T10:30:00.001Z',
  occurred_at: '2026-01-15T10:30:00.000Z',
  action: 'prediction.create',
  outcome: 'succeeded',
  status: 200,
  actor: { type: 'key', id: 'k', key_id: 'k', name: 'n' },
  request_id: 'r-1',
  duration_ms: 3,
  model: { name: 'm', version: '1' },
} as unknown as AuditEvent;

describe('a recorded prediction', () => {
  const payload =
    '{"request":{"inputs":{"x":[9007199254740993]}},"answer":{"id":"p","prediction":{"value":1.5},"model_info":{"name":"m"}}}';

  it('shows request and answer with every digit, and the prediction beside them', () => {
    const text = toPredictionText('p', { event: EVENT, payload });
    expect(text).toContain('"request":{"inputs":{"x":[9007199254740993]}}');
    expect(JSON.parse(text)).toMatchObject({
      id: 'p',
      prediction: { value: 1.5 },
      model_info: { name: 'm' },
      model: { name: 'm', version: '1' },
      recorded: { event_id: 'e-1', key_id: 'k', status: 200 },
      answer: { id: 'p' },
    });
  });

  it.each([undefined, '{}'])('shows what is there where inputs and outputs were not kept (%j)', (kept) => {
    expect(JSON.parse(toPredictionText('p', { event: EVENT, payload: kept }))).toMatchObject({
      id: 'p',
      recorded: { event_id: 'e-1' },
    });
  });

  it.each([
    ['its own key', 'k', [], true],
    ['a key with audit:read', 'other', ['audit:read'], true],
    ['another key', 'other', ['predict'], false],
  ])('of %s: visible %p', async (_name, keyId, scopes, visible) => {
    const log = {
      prediction: () => Promise.resolve({ event: EVENT, payload } satisfies RecordedPrediction),
    } as unknown as AuditLog;
    const found = new RecordedPredictions(log).find({ keyId, scopes } as unknown as Principal, 'p');
    if (visible) await expect(found).resolves.toMatchObject({ event: EVENT });
    else await expect(found).rejects.toMatchObject({ code: 'prediction_not_found' });
  });

  it('that never was is not found', async () => {
    const log = { prediction: () => Promise.resolve(undefined) } as unknown as AuditLog;
    const caller = { keyId: 'k', scopes: ['audit:read'] } as unknown as Principal;
    await expect(new RecordedPredictions(log).find(caller, 'p')).rejects.toMatchObject({
      code: 'prediction_not_found',
    });
  });
});

describe('an event', () => {
  it('is found by its id, or not at all', async () => {
    const log = { find: (id: string) => Promise.resolve(id === 'e-1' ? EVENT : undefined) } as unknown as AuditLog;
    await expect(new KnownEvents(log).find('e-1')).resolves.toBe(EVENT);
    await expect(new KnownEvents(log).find('e-2')).rejects.toMatchObject({ code: 'event_not_found' });
  });
});

describe('a search of the audit log', () => {
  it('hands on every filter of the contract under the library’s name', () => {
    const query = {
      ...{
        from: '2026-01-01T00:00:00Z',
        to: '2026-02-01T00:00:00Z',
        actor: 'a',
        key_id: 'k',
        action: 'x.y',
        outcome: 'denied' as const,
      },
      ...{ model: 'm', version: '1', status: 401, ip: '::1', request_id: 'r', prediction_id: 'p' },
      ...{ limit: 5, order: 'asc' as const, cursor: 'c' },
    };
    expect(toEventFilter(query)).toEqual({
      ...{
        fromMs: Date.UTC(2026, 0, 1),
        toMs: Date.UTC(2026, 1, 1),
        actor: 'a',
        keyId: 'k',
        action: 'x.y',
        outcome: 'denied',
      },
      ...{ model: 'm', version: '1', status: 401, ip: '::1', requestId: 'r', predictionId: 'p' },
    });
    expect(toPageRequest(query)).toEqual({ limit: 5, order: 'asc', cursor: 'c' });
    expect(toEventFilter({})).toEqual({});
  });
});
