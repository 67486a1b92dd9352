import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { atomicWriteFile } from './files';
import { DomainError, invariant } from './domain-error';
import { ERROR_CODES, errorSpec } from './error-codes';
import { isUuid, UuidV7Source } from './ids';
import { nearestWords } from './nearest';
import { SingleFlight } from './single-flight';
import { systemActor } from './actor';
import { SystemClock, timestamp } from './clock';
import { CountingIds, FakeClock } from './testing';

describe('UuidV7Source', () => {
  it('makes valid ids that ascend, also within one millisecond and when the clock goes back', () => {
    const clock = new FakeClock();
    const ids = new UuidV7Source(clock);
    const made = Array.from({ length: 10_000 }, (_, i) => {
      if (i === 5_000) clock.advance(-60_000);
      return ids.next();
    });
    expect(made.every(isUuid)).toBe(true);
    expect(made.every((id) => id[14] === '7' && '89ab'.includes(id[19] ?? ''))).toBe(true);
    expect([...made].sort()).toEqual(made);
    expect(new Set(made).size).toBe(made.length);
  });

  it('carries the time', () => {
    const clock = new FakeClock(Date.parse('2026-03-04T05:06:07.089Z'));
    const id = new UuidV7Source(clock).next();
    expect(Number.parseInt(id.replace('-', '').slice(0, 12), 16)).toBe(clock.now());
  });
});

describe('DomainError', () => {
  it('gives every refusal that is worth a retry a time to retry', () => {
    for (const code of Object.keys(ERROR_CODES) as (keyof typeof ERROR_CODES)[]) {
      const retryable = ['unavailable', 'resource_exhausted'].includes(errorSpec(code).kind);
      expect(new DomainError(code, 'x').retryAfterSeconds).toBe(retryable ? 1 : undefined);
    }
  });

  it('keeps the cause apart from the detail', () => {
    const error = new DomainError('internal_error', 'Something went wrong inside.', { cause: new Error('secret') });
    expect(error.detail).not.toContain('secret');
    expect(error.cause).toBeInstanceOf(Error);
  });

  it('is what a broken invariant throws', () => {
    expect(() => invariant(true, 'never')).not.toThrow();
    expect(() => invariant(undefined, 'the table is there')).toThrow(DomainError);
  });
});

describe('nearestWords', () => {
  it('finds what was probably meant, nearest first, and nothing for another word', () => {
    expect(nearestWords('momentun', ['fraud_detection', 'momentum', 'momenta'], 3)).toEqual(['momentum', 'momenta']);
    expect(nearestWords('zebra', ['momentum'])).toEqual([]);
    expect(nearestWords('x'.repeat(10_000), ['momentum'])).toEqual([]);
  });
});

describe('SingleFlight', () => {
  it('shares one call among those who come while it runs, and forgets failures', async () => {
    const flights = new SingleFlight<number>();
    let calls = 0;
    const work = () => Promise.resolve(++calls);
    expect(await Promise.all([flights.run('a', work), flights.run('a', work), flights.run('b', work)])).toEqual([
      1, 1, 2,
    ]);
    await expect(flights.run('a', () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(await flights.run('a', work)).toBe(3);
  });
});

describe('atomicWriteFile', () => {
  it('replaces the content whole, private by default, and leaves no temporary file', () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'sibyl-kernel-'));
    try {
      const file = path.join(folder, 'key');
      atomicWriteFile(file, 'old');
      atomicWriteFile(file, Buffer.from('new'));
      expect(readFileSync(file, 'utf8')).toBe('new');
      expect(statSync(file).mode & 0o777).toBe(0o600);
      expect(readdirSync(folder)).toEqual(['key']);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe('clock and actor', () => {
  it('writes times as RFC 3339 in UTC', () => {
    for (const ms of [
      Date.UTC(2024, 0, 15, 10, 30),
      Date.UTC(2024, 0, 15, 10, 30, 0, 7),
      0,
      42,
      999,
      1000,
      -1,
      -1000,
      Date.UTC(9999, 11, 31),
    ]) {
      expect(timestamp(ms)).toBe(new Date(ms).toISOString());
    }
    expect(timestamp(1.5)).toBe('1970-01-01T00:00:00.001Z');
    expect(() => timestamp(Number.NaN)).toThrow(RangeError);
    expect(Math.abs(new SystemClock().now() - Date.now())).toBeLessThan(1000);
    expect(new SystemClock().monotonic()).toBeGreaterThan(0);
  });

  it('names parts of the system', () => {
    expect(systemActor('bootstrap')).toEqual({ type: 'system', id: 'bootstrap', name: 'bootstrap' });
    expect(new CountingIds().next()).toBe('00000000-0000-7000-8000-000000000001');
  });
});
