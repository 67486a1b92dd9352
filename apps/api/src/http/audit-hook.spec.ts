import { EventEmitter } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { AuditTrail } from '@sibyl/audit';
import { FakeClock } from '@sibyl/kernel/testing';
import { Metrics } from '@sibyl/telemetry';
import type { EntityManager } from 'typeorm';
import { AuditHook } from './audit-hook';
import type { EventRecorder } from './event-recorder';
import { RecordChangePipe } from './record-change';
import { RequestContext, type ApiRequest } from './request-context';

describe('the event of a request with a change', () => {
  const clock = new FakeClock();
  const metrics = new Metrics();
  afterAll(() => metrics.close());

  /** A request whose change is written with status 201, in a transaction whose commit `ends`, and answered accordingly. */
  async function changed(commit: () => Promise<void>): Promise<{ own: number[]; answered: number }> {
    const context = new RequestContext({ requestId: 'r-1', ip: '', startedAt: 0, occurredAtMs: 0 });
    const own: number[] = [];
    const recorder = { record: (_context: unknown, status: number) => Promise.resolve(void own.push(status)) };
    let ended: () => void = () => undefined;
    const end = new Promise<void>((resolve) => (ended = resolve));
    const response = Object.assign(new EventEmitter(), { statusCode: 200, end: () => ended() });
    new AuditHook(recorder as unknown as EventRecorder).watch(
      { context } as ApiRequest,
      response as unknown as ServerResponse,
    );
    const trail = { commitInTransaction: () => Promise.resolve() } as unknown as AuditTrail;
    const record = new RecordChangePipe(trail, clock, metrics).transform({ context, status: 201 });
    await record({} as EntityManager, { action: 'key.issue', resource: { type: 'key', id: 'k' } });
    response.statusCode = await commit().then(
      () => 201,
      () => 503,
    );
    response.end();
    await end;
    return { own, answered: response.statusCode };
  }

  it('is the one that was committed with it', async () => {
    expect(await changed(() => Promise.resolve())).toEqual({ own: [], answered: 201 });
  });

  it('is its own where the commit failed', async () => {
    expect(await changed(() => Promise.reject(new Error('terminated')))).toEqual({ own: [503], answered: 503 });
  });
});
