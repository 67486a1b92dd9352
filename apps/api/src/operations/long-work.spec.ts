import type { AuditEventDraft, AuditTrail } from '@sibyl/audit';
import type { Principal } from '@sibyl/auth';
import { DomainError } from '@sibyl/kernel';
import { CountingIds, FakeClock } from '@sibyl/kernel/testing';
import { capturingLogger } from '@sibyl/telemetry/testing';
import { HttpOptions } from '../http/http-options';
import { RequestContext } from '../http/request-context';
import { WrittenEvent } from '../http/written-event';
import { LongWork, type LongCall } from './long-work';
import { OperationRecords } from './operation-records';
import { Operations } from './operations';
import { send } from './reply';
import type { Response } from 'express';

const NO_RECORDS = new OperationRecords('nowhere', 0, { warn: () => undefined });
const REPLY = { status: 201, headers: { Location: '/x' }, body: { name: 'churn' } };

describe('long work', () => {
  const clock = new FakeClock();
  const events: AuditEventDraft[] = [];
  const { log, lines } = capturingLogger();
  let trailFails = false;
  const trail = {
    commit: (event: AuditEventDraft) => {
      events.push(event);
      return trailFails ? Promise.reject(new Error('disk full')) : Promise.resolve();
    },
  } as unknown as AuditTrail;
  let operations: Operations;
  let call: LongCall;

  beforeEach(() => {
    events.length = lines.length = 0;
    trailFails = false;
    operations = new Operations(new CountingIds(), clock, 10);
    const context = new RequestContext({ requestId: 'r-1', ip: '192.0.2.1', startedAt: 0, occurredAtMs: clock.now() });
    context.principal = { keyId: 'k', actor: { type: 'key', id: 'k', keyId: 'k', name: 'n' } } as unknown as Principal;
    call = { context, respondAsync: false };
  });

  const longWork = (syncWaitMs: number): LongWork =>
    new LongWork(operations, trail, Object.assign(new HttpOptions(), { syncWaitMs }), NO_RECORDS, log);
  const events_ = async (count: number): Promise<void> => {
    while (events.length < count) await new Promise((resolve) => setImmediate(resolve));
  };

  it('that comes in time is answered with its result and leaves no operation', async () => {
    await expect(longWork(10_000).run(call, 'model.register', () => Promise.resolve(REPLY))).resolves.toEqual(REPLY);
    expect(call.context.recordChangesUnder('r-1')).toBe('r-1');
    expect(() => operations.find('00000000-0000-7000-8000-000000000001', 'k', true)).toThrow();
  });

  it('that fails in time is answered with its failure, by the request itself', async () => {
    const failed = longWork(10_000).run(call, 'model.register', () =>
      Promise.reject(new DomainError('model_rejected', 'no')),
    );
    await expect(failed).rejects.toMatchObject({ code: 'model_rejected' });
    expect(events).toEqual([]);
  });

  it.each([
    ['done', () => Promise.resolve(REPLY)],
    ['rejected', () => Promise.reject(new DomainError('model_rejected', 'no'))],
  ])('counts the event of a change that was its operation’s own: %s', async (_name, end) => {
    const counted: string[] = [];
    const status = _name === 'done' ? 201 : 422;
    const work = (_signal: AbortSignal, id: string): Promise<typeof REPLY> => {
      call.context.recordChangesUnder(id);
      call.context.written = new WrittenEvent(id, status, 'succeeded', (outcome) => counted.push(outcome));
      return end();
    };
    await longWork(10_000)
      .run(call, 'model.load', work)
      .catch(() => undefined);
    expect([counted, events]).toEqual([['succeeded'], []]);
  });

  it('becomes an operation when it takes longer, or at once when that was asked for', async () => {
    let end: (reply: typeof REPLY) => void = () => undefined;
    const reply = await longWork(0).run(
      { ...call, respondAsync: true },
      'model.register',
      () => new Promise((resolve) => (end = resolve)),
    );
    const { id } = reply.body as { id: string };
    expect(reply).toMatchObject({
      status: 202,
      headers: { Location: `/v1/operations/${id}`, 'Preference-Applied': 'respond-async' },
      body: { kind: 'model.register', status: 'running' },
    });
    end(REPLY);
    await new Promise((resolve) => setImmediate(resolve));
    expect(operations.find(id, 'k', false)).toMatchObject({ status: 'succeeded', result: REPLY.body });
  });

  it('that fails later is on record under the id of its operation', async () => {
    let fail: (error: unknown) => void = () => undefined;
    const reply = await longWork(0).run(call, 'model.register', () => new Promise((_, reject) => (fail = reject)));
    const { id } = reply.body as { id: string };
    fail(new DomainError('model_rejected', 'no'));
    await events_(1);
    expect(events).toEqual([
      expect.objectContaining({
        action: 'model.register',
        requestId: id,
        status: 422,
        outcome: 'failed',
        reason: 'model_rejected',
      }),
    ]);
  });

  it('that was committed as rejected has its event already', async () => {
    let fail: (error: unknown) => void = () => undefined;
    const reply = await longWork(0).run(call, 'model.register', () => new Promise((_, reject) => (fail = reject)));
    const { id } = reply.body as { id: string };
    const counted: string[] = [];
    call.context.written = new WrittenEvent(id, 422, 'failed', (outcome) => counted.push(outcome));
    fail(new DomainError('model_rejected', 'no'));
    await new Promise((resolve) => setImmediate(resolve));
    expect([events, counted]).toEqual([[], ['failed']]);
  });

  it('that was cancelled is on record as that, and is no fault', async () => {
    const reply = await longWork(0).run(
      { ...call, respondAsync: true },
      'model.register',
      (signal) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error))),
    );
    const { id } = reply.body as { id: string };
    operations.cancel(id, 'k', false);
    await events_(1);
    expect(operations.find(id, 'k', false).status).toBe('cancelled');
    expect(events).toEqual([expect.objectContaining({ requestId: id, status: 499, reason: 'cancelled' })]);
    expect(lines).toEqual([]);
  });

  it('whose change is being recorded as the request’s own is waited for, past the limit too', async () => {
    const reply = await longWork(0).run(call, 'model.register', async () => {
      expect(call.context.recordChangesUnder('r-1')).toBe('r-1');
      await new Promise((resolve) => setTimeout(resolve, 20));
      return REPLY;
    });
    expect(reply).toBe(REPLY);
    const failed = longWork(0).run({ ...call }, 'model.register', async () => {
      await new Promise((resolve) => setTimeout(resolve, 20));
      throw new DomainError('database_unavailable', 'the commit failed');
    });
    await expect(failed).rejects.toMatchObject({ code: 'database_unavailable' });
    expect(events).toEqual([]);
  });

  it('whose failure cannot be recorded at least says so in the log', async () => {
    trailFails = true;
    let fail: (error: unknown) => void = () => undefined;
    await longWork(0).run(call, 'model.register', () => new Promise((_, reject) => (fail = reject)));
    fail(new Error('unforeseen'));
    await events_(1);
    await new Promise((resolve) => setImmediate(resolve));
    expect(lines.map((line) => line['level'])).toEqual(['warn', 'error']);
  });
});

describe('a reply', () => {
  it('sets status and headers and hands back the body', () => {
    const set = jest.fn();
    const status = jest.fn(() => ({ set }));
    expect(send(REPLY, { status } as unknown as Response)).toBe(REPLY.body);
    expect(status).toHaveBeenCalledWith(201);
    expect(set).toHaveBeenCalledWith(REPLY.headers);
  });
});
