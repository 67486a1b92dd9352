import type { AuditEventDraft, AuditTrail } from '@sibyl/audit';
import type { Principal } from '@sibyl/auth';
import { FakeClock } from '@sibyl/kernel/testing';
import { Metrics } from '@sibyl/telemetry';
import type { EntityManager } from 'typeorm';
import { actorOf, RecordChangePipe } from './record-change';
import { RequestContext } from './request-context';

describe('the event of a change', () => {
  const clock = new FakeClock();
  const metrics = new Metrics();
  const committed: [EntityManager, AuditEventDraft][] = [];
  const trail = {
    commitInTransaction: (tx: EntityManager, draft: AuditEventDraft) =>
      Promise.resolve(void committed.push([tx, draft])),
  } as unknown as AuditTrail;
  const pipe = new RecordChangePipe(trail, clock, metrics);
  const tx = {} as EntityManager;
  const change = { action: 'key.issue', resource: { type: 'key', id: 'k2' }, changes: { name: 'a' } };
  let context: RequestContext;

  beforeEach(() => {
    committed.length = 0;
    context = new RequestContext({
      requestId: 'r-1',
      ip: '192.0.2.1',
      startedAt: clock.monotonic(),
      occurredAtMs: clock.now(),
      traceId: 't',
    });
    context.principal = { actor: { type: 'key', id: 'k', keyId: 'k', name: 'n' } } as unknown as Principal;
  });
  afterAll(() => metrics.close());

  it('says who, from where, what and how long, inside the transaction of the change', async () => {
    clock.advance(25);
    await pipe.transform({ context, status: 201 })(tx, change);
    expect(committed).toEqual([
      [
        tx,
        {
          ...change,
          outcome: 'succeeded',
          status: 201,
          actor: context.principal?.actor,
          ip: '192.0.2.1',
          requestId: 'r-1',
          occurredAtMs: context.occurredAtMs,
          durationMs: 25,
          traceId: 't',
        },
      ],
    ]);
  });

  it('counts, once, when the request was answered as it says, and not before', async () => {
    await pipe.transform({ context, status: 201 })(tx, change);
    expect(await metrics.registry.metrics()).toContain('sibyl_audit_events_total{outcome="succeeded"} 0');
    expect([201, 201].map((status) => context.written?.settle('r-1', status))).toEqual([true, true]);
    expect(await metrics.registry.metrics()).toContain('sibyl_audit_events_total{outcome="succeeded"} 1');
  });

  it.each([
    ['a change whose commit failed', 201, 503, false],
    ['a rejection whose commit failed', 422, 503, false],
    ['a rejection', 422, 422, true],
    ['a change answered with another success', 201, 200, true],
  ])('of %s (%i, answered %i) stands for the request: %s', async (_name, status, answered, stands) => {
    await pipe.transform({ context, status: 201 })(tx, { ...change, status });
    expect(context.written?.settle('r-1', answered)).toBe(stands);
  });

  it('is a failure where the library says so', async () => {
    await pipe.transform({ context, status: 201 })(tx, { ...change, status: 422 });
    expect(committed[0]?.[1]).toMatchObject({ status: 422, outcome: 'failed' });
  });

  it('belongs to the operation once the request has been answered', async () => {
    const record = pipe.transform({ context, status: 201 });
    context.recordChangesUnder('o-1');
    await record(tx, change);
    expect(committed[0]?.[1]).toMatchObject({ requestId: 'o-1' });
    expect([context.written?.settle('r-1', 202), context.written?.settle('o-1', 201)]).toEqual([false, true]);
  });

  it('keeps the id it was begun under, whatever happens while it is written', async () => {
    let write: () => void = () => undefined;
    const slow = {
      commitInTransaction: (_tx: EntityManager, draft: AuditEventDraft) =>
        new Promise<void>((resolve) => (write = resolve)).then(() => void committed.push([tx, draft])),
    } as unknown as AuditTrail;
    const recording = new RecordChangePipe(slow, clock, metrics).transform({ context, status: 201 })(tx, change);
    expect(context.recordChangesUnder('o-1')).toBe('r-1');
    write();
    await recording;
    expect(committed[0]?.[1]).toMatchObject({ requestId: 'r-1' });
    expect(context.written?.settle('r-1', 201)).toBe(true);
  });

  it('is none where it could not be written', async () => {
    const failing = { commitInTransaction: () => Promise.reject(new Error('rolled back')) } as unknown as AuditTrail;
    await expect(
      new RecordChangePipe(failing, clock, metrics).transform({ context, status: 201 })(tx, change),
    ).rejects.toThrow();
    expect(context.written).toBeUndefined();
  });

  it('names the address of a caller without a key', () => {
    context.principal = undefined;
    expect(actorOf(context)).toEqual({ type: 'anonymous', id: '192.0.2.1', name: 'anonymous' });
  });
});
