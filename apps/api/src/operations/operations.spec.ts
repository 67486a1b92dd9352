import { DomainError } from '@sibyl/kernel';
import { CountingIds, FakeClock } from '@sibyl/kernel/testing';
import type { OnProgress } from '@sibyl/registry';
import { NoSiblings } from '../workers/siblings';
import { OperationAccess } from './operation-access';
import { toOperationView } from './operation.view';
import { OperationRecords } from './operation-records';
import { Operations } from './operations';
import type { Principal } from '@sibyl/auth';

/** Work that ends when the test says so. */
function work(): {
  run: (signal: AbortSignal) => Promise<unknown>;
  end: (value: unknown) => void;
  fail: (error: unknown) => void;
  signal?: AbortSignal;
} {
  const controls: ReturnType<typeof work> = {
    run: () => Promise.resolve(),
    end: () => undefined,
    fail: () => undefined,
  };
  const done = new Promise((resolve, reject) => Object.assign(controls, { end: resolve, fail: reject }));
  controls.run = (signal) => {
    controls.signal = signal;
    return done;
  };
  return controls;
}

const NO_RECORDS = new OperationRecords('nowhere', 0, { warn: () => undefined });
const settled = (promise: Promise<unknown>): Promise<unknown> => promise.catch(() => undefined);

describe('operations', () => {
  const clock = new FakeClock();
  let operations: Operations;
  beforeEach(() => (operations = new Operations(new CountingIds(), clock, 2)));

  it('run, and end with their result', async () => {
    const job = work();
    const { id, ended } = operations.begin({ kind: 'model.register', keyId: 'a', work: job.run });
    expect(toOperationView(operations.find(id, 'a', false))).toEqual({
      id,
      kind: 'model.register',
      status: 'running',
      progress: { done: 0, total: 1 },
      started_at: '2026-01-15T10:30:00.000Z',
    });
    job.end({ name: 'churn' });
    await ended;
    expect(toOperationView(operations.find(id, 'a', false))).toMatchObject({
      status: 'succeeded',
      progress: { done: 1, total: 1 },
      result: { name: 'churn' },
    });
  });

  it('say how far they are, up to their end', async () => {
    const job = work();
    let advance: OnProgress | undefined;
    const { id, ended } = operations.begin({
      kind: 'x',
      keyId: 'a',
      work: (signal, _, onProgress) => ((advance = onProgress), job.run(signal)),
    });
    const progress = (): unknown => toOperationView(operations.find(id, 'a', false))['progress'];
    advance?.(3, 8, 'golden');
    expect(progress()).toEqual({ done: 3, total: 8, what: 'golden' });
    job.end(undefined);
    await ended;
    advance?.(1, 8, 'late');
    expect(progress()).toEqual({ done: 8, total: 8 });
  });

  it('say why they failed, and nothing of the inside', async () => {
    const job = work();
    const other = work();
    const rejected = operations.begin({ kind: 'x', keyId: 'a', work: job.run });
    const broken = operations.begin({ kind: 'x', keyId: 'a', work: other.run });
    job.fail(new DomainError('model_rejected', 'no', { faults: [{ pointer: '/model.onnx' }] }));
    other.fail(new Error('SELECT secret'));
    await Promise.all([settled(rejected.ended), settled(broken.ended)]);
    expect(toOperationView(operations.find(rejected.id, 'a', false))['error']).toEqual({
      code: 'model_rejected',
      status: 422,
      detail: 'no',
      errors: [{ pointer: '/model.onnx' }],
    });
    expect(JSON.stringify(toOperationView(operations.find(broken.id, 'a', false)))).not.toContain('SELECT');
  });

  it('are nobody else’s business, except for those who may see all', async () => {
    const { id } = operations.begin({ kind: 'x', keyId: 'a', work: work().run });
    const access = new OperationAccess(operations, new NoSiblings(), NO_RECORDS);
    const caller = (keyId: string, ...scopes: string[]): Principal => ({ keyId, scopes }) as unknown as Principal;
    await expect(access.find(caller('b', 'predict'), id)).rejects.toThrow('There is no operation');
    await expect(access.cancel(caller('b', 'predict'), id)).rejects.toThrow('There is no operation');
    await expect(access.find(caller('b', 'ops:read'), id)).resolves.toMatchObject({ id });
    await expect(access.find(caller('a'), 'another')).rejects.toThrow('There is no operation');
  });

  it('are cancelled once their work has stopped, and not before', async () => {
    const job = work();
    const { id, ended } = operations.begin({ kind: 'x', keyId: 'a', work: job.run });
    expect(operations.cancel(id, 'a', false).status).toBe('running');
    expect(job.signal?.aborted).toBe(true);
    job.fail(job.signal?.reason);
    await settled(ended);
    expect(operations.cancel(id, 'a', false)).toMatchObject({ status: 'cancelled' });
    expect(operations.find(id, 'a', false)).not.toHaveProperty('error');
  });

  it('have succeeded or failed where their work ended by itself before it heard that it was cancelled', async () => {
    const [done, failed] = [work(), work()];
    const first = operations.begin({ kind: 'x', keyId: 'a', work: done.run });
    const second = operations.begin({ kind: 'x', keyId: 'a', work: failed.run });
    for (const { id } of [first, second]) operations.cancel(id, 'a', false);
    done.end('committed');
    failed.fail(new DomainError('model_rejected', 'no'));
    await Promise.all([first.ended, settled(second.ended)]);
    expect(operations.find(first.id, 'a', false)).toMatchObject({ status: 'succeeded', result: 'committed' });
    expect(operations.find(second.id, 'a', false)).toMatchObject({ status: 'failed' });
  });

  it('make room by the oldest that has ended, never by one that runs', async () => {
    const done = operations.begin({ kind: 'x', keyId: 'a', work: () => Promise.resolve(1) });
    await done.ended;
    const running = operations.begin({ kind: 'x', keyId: 'a', work: work().run });
    operations.begin({ kind: 'x', keyId: 'a', work: work().run });
    expect(() => operations.find(done.id, 'a', false)).toThrow();
    expect(operations.find(running.id, 'a', false).status).toBe('running');
    expect(() => operations.begin({ kind: 'x', keyId: 'a', work: work().run })).toThrow('operations running');
  });

  it('of a key that has many make room by its own, so that it pushes out nobody else’s', async () => {
    operations = new Operations(new CountingIds(), clock, 4);
    const begin = async (keyId: string): Promise<string> => {
      const { id, ended } = operations.begin({ kind: 'x', keyId, work: () => Promise.resolve(1) });
      await ended;
      return id;
    };
    const one = await begin('one');
    const other = await begin('other');
    const many: string[] = [];
    for (let i = 0; i < 50; i++) many.push(await begin('many'));
    expect(operations.find(one, 'one', false).status).toBe('succeeded');
    expect(operations.find(other, 'other', false).status).toBe('succeeded');
    const left = many.filter((id) => {
      try {
        return operations.find(id, 'many', false).id === id;
      } catch {
        return false;
      }
    });
    expect(left).toEqual(many.slice(-2));
  });
});
