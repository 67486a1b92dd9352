import type { AuditEventDraft } from './audit-event';
import { encodeEvent, MOST_BODY_BYTES } from './event-encoder';
import { anEvent } from './testing';

const place = {
  id: '0199aaaa-0000-7000-8000-000000000001',
  recordedAtMs: Date.parse('2026-01-15T10:30:00.007Z'),
  chain: '0199aaaa-0000-7000-8000-00000000000c',
  seq: 42,
};

const whole: AuditEventDraft = {
  action: 'model.promote',
  outcome: 'succeeded',
  status: 200,
  actor: { type: 'key', id: 'k-1', keyId: 'k-1', name: 'Ada "the first"' },
  ip: '2001:db8::1',
  requestId: 'r-1',
  traceId: '4bf92f3577b34da6a3ce929d0e0e4736',
  occurredAtMs: Date.parse('2026-01-15T10:29:59.999Z'),
  durationMs: 1.23456,
  resource: { type: 'alias', id: 'momentum/production' },
  model: { name: 'momentum', version: '1.3.0', digest: 'sha256:ab', alias: 'production' },
  predictionId: '0199aaaa-0000-7000-8000-00000000000d',
  inputsDigest: 'sha256:01',
  outputsDigest: 'sha256:02',
  reason: 'better',
  changes: { version: { from: '1.2.3', to: '1.3.0' } },
  count: 3,
};

describe('encodeEvent', () => {
  it('keeps nothing of a key’s last event that differs in the next', () => {
    const { actor } = whole;
    const events = [
      { ...whole, actor },
      { ...whole, actor, status: 404, outcome: 'failed' as const },
      { ...whole, actor, ip: '192.0.2.1' },
      { ...whole, actor, action: 'prediction.create' },
      { ...whole, actor, outcome: 'denied' as const },
      { ...whole, actor },
    ].map((draft) => JSON.parse(encodeEvent(draft, place)) as Record<string, unknown>);
    expect(events.map(({ status, outcome, ip, action }) => [status, outcome, ip, action])).toEqual([
      [200, 'succeeded', '2001:db8::1', 'model.promote'],
      [404, 'failed', '2001:db8::1', 'model.promote'],
      [200, 'succeeded', '192.0.2.1', 'model.promote'],
      [200, 'succeeded', '2001:db8::1', 'prediction.create'],
      [200, 'denied', '2001:db8::1', 'model.promote'],
      [200, 'succeeded', '2001:db8::1', 'model.promote'],
    ]);
  });

  it('writes every member of the contract, in its order', () => {
    expect(encodeEvent(whole, place)).toBe(
      JSON.stringify({
        id: place.id,
        recorded_at: '2026-01-15T10:30:00.007Z',
        occurred_at: '2026-01-15T10:29:59.999Z',
        action: 'model.promote',
        outcome: 'succeeded',
        status: 200,
        actor: { type: 'key', id: 'k-1', key_id: 'k-1', name: 'Ada "the first"' },
        ip: '2001:db8::1',
        request_id: 'r-1',
        trace_id: '4bf92f3577b34da6a3ce929d0e0e4736',
        resource: { type: 'alias', id: 'momentum/production' },
        model: { name: 'momentum', version: '1.3.0', digest: 'sha256:ab', alias: 'production' },
        prediction_id: '0199aaaa-0000-7000-8000-00000000000d',
        duration_ms: 1.235,
        inputs_digest: 'sha256:01',
        outputs_digest: 'sha256:02',
        reason: 'better',
        changes: { version: { from: '1.2.3', to: '1.3.0' } },
        count: 3,
        chain: place.chain,
        seq: 42,
      }),
    );
  });

  it('leaves out what is not given, and names the request where there is no other resource', () => {
    expect(JSON.parse(encodeEvent(anEvent({ requestId: 'r-9' }), place))).toEqual({
      id: place.id,
      recorded_at: '2026-01-15T10:30:00.007Z',
      occurred_at: '2026-01-15T10:30:00.000Z',
      action: 'prediction.create',
      outcome: 'succeeded',
      status: 200,
      actor: { type: 'key', id: 'key-1', key_id: 'key-1', name: 'a caller' },
      ip: '127.0.0.1',
      request_id: 'r-9',
      resource: { type: 'request', id: 'r-9' },
      duration_ms: 1.25,
      chain: place.chain,
      seq: 42,
    });
  });

  it('stays within its bound whatever the members hold', () => {
    const long = '\uffff'.repeat(100_000);
    const model = { name: long, version: long, digest: long, alias: long };
    const body = encodeEvent(
      {
        ...whole,
        action: long,
        actor: { type: 'key', id: long, keyId: long, name: long },
        ip: long,
        requestId: long,
        traceId: long,
        resource: { type: long, id: long },
        model,
        predictionId: long,
        inputsDigest: long,
        outputsDigest: long,
        reason: long,
        changes: { long },
      },
      place,
    );
    expect(body.length).toBeLessThanOrEqual(MOST_BODY_BYTES);
    expect(body).toMatch(/^[ -~]*$/);
    expect(() => JSON.parse(body) as unknown).not.toThrow();
  });

  it('gives every time in milliseconds and UTC, also at the edges of a second and of all clocks', () => {
    const instantOf = (recordedAtMs: number): unknown =>
      (JSON.parse(encodeEvent(anEvent(), { ...place, recordedAtMs })) as Record<string, unknown>)['recorded_at'];
    expect(instantOf(Date.parse('2026-12-31T23:59:59.999Z'))).toBe('2026-12-31T23:59:59.999Z');
    expect(instantOf(Date.parse('2027-01-01T00:00:00.000Z'))).toBe('2027-01-01T00:00:00.000Z');
    expect(instantOf(Date.parse('2027-01-01T00:00:00.010Z'))).toBe('2027-01-01T00:00:00.010Z');
    expect(instantOf(-1)).toBe('1969-12-31T23:59:59.999Z');
    expect(instantOf(NaN)).toBe('1970-01-01T00:00:00.000Z');
    expect(instantOf(1e20)).toBe('9999-12-31T23:59:59.999Z');
    expect(instantOf(-1e20)).toBe('0001-01-01T00:00:00.000Z');
  });

  it('writes a duration that is no number as null', () => {
    expect(encodeEvent(anEvent({ durationMs: NaN }), place)).toContain('"duration_ms":null');
  });

  it('writes what each event says, however alike the one before it was', () => {
    const { actor, model } = whole;
    for (const change of [{ action: 'key.issue' }, { ip: '"' }, { ip: '::1' }, { actor: { ...actor, name: 'Bo' } }]) {
      expect(JSON.parse(encodeEvent({ ...whole, ...change }, place))).toMatchObject({
        action: change.action ?? whole.action,
        ip: change.ip ?? whole.ip,
        actor: { name: change.actor?.name ?? actor.name },
      });
    }
    expect(encodeEvent({ ...whole, model: { ...model, name: 'other' } }, place)).toContain('"model":{"name":"other"');
  });
});
