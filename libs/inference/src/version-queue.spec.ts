import type { Tensor } from '@sibyl/protocol';
import { VersionQueue, WaitingRequest, type DropReason } from './version-queue';

const LIMITS = { batchable: true, maxRows: 8 };

let queue: VersionQueue;
let dropped: DropReason[];
let failed: unknown[];

beforeEach(() => {
  dropped = [];
  failed = [];
  queue = new VersionQueue({ maxRequests: 4, maxBytes: 100 }, (reason) => dropped.push(reason));
});

interface Parts {
  readonly rows?: number;
  readonly deadlineAt?: number;
  readonly bytes?: number;
  readonly inputs?: readonly Tensor[];
}

function entry({ rows = 1, deadlineAt = 1000, bytes = 10, inputs = [tensor()] }: Parts = {}): WaitingRequest {
  const request = { inputs, rows, deadlineAt, aborted: false };
  return new WaitingRequest(request, bytes, 0, {
    answered: () => undefined,
    failed: (error) => failed.push(error),
  });
}

function tensor(changes: Partial<Tensor> = {}): Tensor {
  return { name: 'x', datatype: 'FP32', shape: [1, 4], data: new Float32Array(4), ...changes };
}

function add(...entries: WaitingRequest[]): void {
  for (const each of entries) queue.add(each);
}

describe('VersionQueue', () => {
  it('gives in one batch what waits, in order, up to the rows of a batch', () => {
    const entries = [entry({ rows: 3 }), entry({ rows: 5 }), entry({ rows: 1 })];
    add(...entries);
    expect(queue.take(0, LIMITS)).toEqual(entries.slice(0, 2));
    expect(queue.depth).toBe(1);
    expect(queue.take(0, LIMITS)).toEqual(entries.slice(2));
    expect(queue.take(0, LIMITS)).toEqual([]);
  });

  it('gives one by one what is not batchable', () => {
    add(entry(), entry());
    expect(queue.take(0, { ...LIMITS, batchable: false })).toHaveLength(1);
    expect(queue.depth).toBe(1);
  });

  it.each<[string, Parts]>([
    ['another number of columns', { inputs: [tensor({ shape: [1, 5] })] }],
    ['another rank', { inputs: [tensor({ shape: [1, 2, 2] })] }],
    ['another datatype', { inputs: [tensor({ datatype: 'FP64' })] }],
    ['another input', { inputs: [tensor({ name: 'z' })] }],
    ['more inputs', { inputs: [tensor(), tensor({ name: 'y' })] }],
    ['no rows', { rows: 0 }],
  ])('never mixes requests with %s', (_, parts) => {
    const [one, two] = [entry(), entry(parts)];
    add(one, two);
    expect(queue.take(0, LIMITS)).toEqual([one]);
    expect(queue.take(0, LIMITS)).toEqual([two]);
  });

  it('drops what is expired or aborted when it would begin', () => {
    const late = entry({ deadlineAt: 5 });
    const gone = entry();
    const good = entry();
    add(late, gone, good);
    gone.request.aborted = true;
    expect(queue.take(6, LIMITS)).toEqual([good]);
    expect(dropped).toEqual(['expired', 'aborted']);
    expect(failed).toHaveLength(2);
    expect(queue.depth).toBe(0);
  });

  it('answers what is past its deadline without waiting for a runner, and keeps the rest in order', () => {
    const entries = [entry({ deadlineAt: 50 }), entry(), entry({ deadlineAt: 50 }), entry()];
    add(...entries);
    queue.expire(49);
    expect(queue.depth).toBe(4);
    queue.expire(50);
    expect(queue.depth).toBe(2);
    expect(failed).toHaveLength(2);
    expect(queue.take(50, LIMITS)).toEqual([entries[1], entries[3]]);
  });

  it('runs again, first and without others, the parts of a failed batch', () => {
    const [waiting, one, two, late] = [entry(), entry(), entry(), entry({ deadlineAt: 5 })];
    add(waiting);
    queue.addAgain([late]);
    queue.addAgain([one, late]);
    queue.addAgain([two]);
    expect(queue.take(6, LIMITS)).toEqual([one]);
    expect(queue.take(6, LIMITS)).toEqual([two]);
    expect(queue.take(6, LIMITS)).toEqual([waiting]);
    expect(queue.take(6, LIMITS)).toEqual([]);
    expect(dropped).toEqual(['expired', 'expired']);
  });

  it('runs one by one the parts of a model that turned out not to take batches', () => {
    const part = [entry(), entry()];
    queue.addAgain([...part]);
    expect(queue.take(0, { ...LIMITS, batchable: false })).toEqual(part.slice(0, 1));
    expect(queue.take(0, { ...LIMITS, batchable: false })).toEqual(part.slice(1));
    expect(queue.depth).toBe(0);
  });

  it('expires what waits to run again', () => {
    queue.addAgain([entry({ deadlineAt: 5 })]);
    queue.expire(10);
    expect([queue.depth, failed.length]).toEqual([0, 1]);
  });

  it('admits so many requests and bytes, and any request when nothing waits', () => {
    expect(queue.admits(1_000_000)).toBe(true);
    add(entry({ bytes: 60 }));
    expect(queue.admits(40)).toBe(true);
    expect(queue.admits(41)).toBe(false);
    add(entry(), entry(), entry());
    expect(queue.admits(0)).toBe(false);
    queue.take(0, LIMITS);
    expect(queue.admits(100)).toBe(true);
  });

  it('refuses all that waits', () => {
    add(entry(), entry());
    queue.addAgain([entry()]);
    const error = new Error('stop');
    queue.refuseAll(error);
    expect(failed).toEqual([error, error, error]);
    expect([queue.depth, queue.take(0, LIMITS)]).toEqual([0, []]);
  });

  it('counts the rows that wait, and the bytes of requests that run in pieces', () => {
    add(entry({ rows: 3 }), entry({ rows: 0 }));
    queue.hold(50);
    expect(queue.rows).toBe(4);
    expect(queue.admits(31)).toBe(false);
    queue.take(0, LIMITS);
    queue.take(0, LIMITS);
    queue.hold(-50);
    expect([queue.rows, queue.depth]).toEqual([0, 0]);
  });

  it('keeps no more than it must of what has been taken', () => {
    for (let i = 0; i < 1000; i++) {
      add(entry(), entry());
      expect(queue.take(0, { ...LIMITS, maxRows: 1 })).toHaveLength(1);
      if (queue.depth > 2) queue.take(0, LIMITS);
    }
    expect(queue.depth).toBeLessThanOrEqual(4);
    queue.take(0, { ...LIMITS, maxRows: 1000 });
    expect(queue.take(0, LIMITS)).toEqual([]);
  });
});
