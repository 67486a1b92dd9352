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
    expect(context.recorded).toBe(true);
    expect(await metrics.registry.metrics()).toContain('sibyl_audit_events_total{outcome="succeeded"} 1');
  });

  it('is a failure where the library says so', async () => {
    await pipe.transform({ context, status: 201 })(tx, { ...change, status: 422 });
    expect(committed[0]?.[1]).toMatchObject({ status: 422, outcome: 'failed' });
  });

  it('belongs to the operation once the request has been answered', async () => {
    const record = pipe.transform({ context, status: 201 });
    context.operationId = 'o-1';
    await record(tx, change);
    expect(committed[0]?.[1]).toMatchObject({ requestId: 'o-1' });
    expect(context.recorded).toBe(false);
  });

  it('does not count what did not commit', async () => {
    const failing = { commitInTransaction: () => Promise.reject(new Error('rolled back')) } as unknown as AuditTrail;
    await expect(
      new RecordChangePipe(failing, clock, metrics).transform({ context, status: 201 })(tx, change),
    ).rejects.toThrow();
    expect(context.recorded).toBe(false);
  });

  it('names the address of a caller without a key', () => {
    context.principal = undefined;
    expect(actorOf(context)).toEqual({ type: 'anonymous', id: '192.0.2.1', name: 'anonymous' });
  });
});
