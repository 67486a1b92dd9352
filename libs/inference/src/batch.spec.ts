import { Batch, type BatchListener } from './batch';
import type { RunnerEnd } from './runner';
import type { VersionFlow } from './served-version';
import { WaitingRequest } from './version-queue';

const LIMIT_MS = 100;
const CRASH: RunnerEnd = { reason: 'crashed', code: null, signal: 'SIGSEGV', stderr: '' };
const SENT: RunnerEnd = { ...CRASH, signal: 'SIGKILL' };
const OVERRUN: RunnerEnd = { reason: 'overran', code: null, signal: 'SIGKILL', stderr: '' };

interface Course {
  readonly size: number;
  readonly culprits: readonly number[];
  readonly end: RunnerEnd;
  readonly deadlineMs?: number;
}

interface Result {
  /** Codes of the requests that failed, by their place. */
  readonly failed: Record<number, string>;
  readonly losses: number;
  readonly blames: number;
}

/** Runs a batch and its parts one after another as a runner does that is lost to each culprit. */
function follow({ size, culprits, end, deadlineMs = Number.POSITIVE_INFINITY }: Course): Result {
  const failed: Record<number, string> = {};
  const numbers = new Map<WaitingRequest, number>();
  const entries = Array.from({ length: size }, (_, i) => {
    const request = { inputs: [], rows: 1, deadlineAt: deadlineMs, aborted: false };
    const receiver = { answered: () => undefined, failed: (error: Error) => (failed[i] = (error as never)['code']) };
    const entry = new WaitingRequest(request, 0, 0, receiver);
    numbers.set(entry, i);
    return entry;
  });
  const version = { failures: 0, speed: { runLimitMs: () => LIMIT_MS, cost: { expect: () => 1 } } };
  const flow = { version } as unknown as VersionFlow;
  const parts = [entries];
  let [now, losses, blames] = [0, 0, 0];
  const listener: BatchListener = {
    onAgain: (_, part) => parts.push(part),
    onBlamed: () => blames++,
    onEnded: () => undefined,
    onNotBatchable: () => undefined,
    now: () => now,
  };
  for (let part = parts.shift(); part; part = parts.shift()) {
    const batch = new Batch(flow, part, now, listener);
    if (part.some((entry) => culprits.includes(numbers.get(entry)!))) {
      losses++;
      if (end.reason === 'overran') now += LIMIT_MS;
      batch.lost(end);
    } else for (const entry of part) entry.answer([]);
  }
  expect(entries.every((entry) => entry.settled)).toBe(true);
  return { failed, losses, blames };
}

describe('a batch that loses its runner', () => {
  it('finds the one to blame for few runners, wherever it is, and counts one loss for it', () => {
    for (let size = 1; size <= 130; size++) {
      for (const culprit of new Set([0, 1, size >> 1, size - 2, size - 1].filter((i) => i >= 0 && i < size))) {
        const { failed, losses, blames } = follow({ size, culprits: [culprit], end: CRASH });
        expect(failed).toEqual({ [culprit]: 'model_crashed_on_input' });
        expect(losses).toBeLessThanOrEqual(Math.ceil(Math.log2(size)) + 1);
        expect(blames).toBe(1);
      }
    }
    expect(follow({ size: 64, culprits: [37], end: CRASH }).losses).toBe(3);
  });

  it('finds each of several, and counts one loss for each', () => {
    const culprits = [3, 4, 40];
    const { failed, losses, blames } = follow({ size: 64, culprits, end: CRASH });
    expect(Object.keys(failed).map(Number)).toEqual(culprits);
    expect(losses).toBe(6);
    expect(blames).toBe(3);
  });

  it('tries again, alone, what may have been ended from outside, and blames nobody else', () => {
    expect(follow({ size: 1, culprits: [0], end: SENT })).toEqual({
      failed: { 0: 'model_crashed_on_input' },
      losses: 2,
      blames: 1,
    });
    expect(follow({ size: 16, culprits: [5], end: { ...SENT, reason: 'memory' } })).toMatchObject({
      failed: { 5: 'model_crashed_on_input' },
      losses: 4,
      blames: 1,
    });
  });

  it.each([
    ['SIGABRT', { ...CRASH, signal: 'SIGABRT' }, 1],
    ['an exit', { ...CRASH, signal: null, code: 134 }, 1],
    ['SIGTERM', { ...CRASH, signal: 'SIGTERM' }, 2],
    ['the memory limit', { ...CRASH, reason: 'memory' as const, signal: 'SIGKILL' }, 2],
  ])('by %s is to blame after so many losses alone', (_, end, losses) => {
    expect(follow({ size: 1, culprits: [0], end })).toMatchObject({
      failed: { 0: 'model_crashed_on_input' },
      losses,
    });
  });

  it('says model_not_ready where the runner answered what cannot be read', () => {
    expect(follow({ size: 2, culprits: [0], end: { ...CRASH, reason: 'protocol', signal: null } })).toMatchObject({
      failed: { 0: 'model_not_ready' },
    });
  });

  it('that overran costs its culprit a deadline, and its neighbours none while there is time', () => {
    const course = { size: 64, culprits: [0], end: OVERRUN };
    expect(follow(course)).toMatchObject({ failed: { 0: 'deadline_exceeded' }, losses: 3 });
    // Too little for a part and the culprit in it: each by itself.
    expect(follow({ ...course, deadlineMs: 250 })).toMatchObject({ failed: { 0: 'deadline_exceeded' }, losses: 2 });
  });

  it('runs nothing again whose deadline has passed', () => {
    expect(follow({ size: 2, culprits: [1], end: OVERRUN, deadlineMs: 100 })).toEqual({
      failed: { 0: 'deadline_exceeded', 1: 'deadline_exceeded' },
      losses: 1,
      blames: 1,
    });
  });
});
