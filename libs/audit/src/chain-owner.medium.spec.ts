import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { ChainOwner, isAbandoned } from './chain-owner';

let folder: string;

beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'sibyl-owner-'));
});
afterEach(() => fs.rmSync(folder, { recursive: true, force: true }));

const SILENCE_MS = 60_000;
const abandonedAt = (afterMs: number): boolean => isAbandoned(folder, Date.now() + afterMs, SILENCE_MS);
const ownerFile = (): string => path.join(folder, 'owner.json');

/** This process's own claim, with some of it changed. */
function claim(change: Record<string, unknown> = {}): void {
  const owner = new ChainOwner(folder, () => undefined);
  const identity = JSON.parse(fs.readFileSync(ownerFile(), 'utf8')) as Record<string, unknown>;
  owner.release();
  fs.writeFileSync(ownerFile(), JSON.stringify({ ...identity, ...change }));
}

async function deadPid(): Promise<number> {
  const child = spawn(process.execPath, ['-e', '']);
  await once(child, 'exit');
  return child.pid ?? 0;
}

describe('a chain', () => {
  it('is never abandoned while its writer lives, however long that is silent', () => {
    claim();
    expect(abandonedAt(0)).toBe(false);
    expect(abandonedAt(SILENCE_MS + 1000)).toBe(fs.existsSync('/proc/self/stat') ? false : true);
  });

  it('is abandoned at once when its writer has let go of it', () => {
    const owner = new ChainOwner(folder, () => undefined);
    expect(abandonedAt(0)).toBe(false);
    owner.release();
    expect(abandonedAt(0)).toBe(true);
  });

  it('is abandoned at once when its process is dead', async () => {
    claim({ pid: await deadPid() });
    expect(abandonedAt(0)).toBe(true);
  });

  it('is abandoned when another process has the number of its writer', () => {
    claim({ startedAt: '1' });
    expect(abandonedAt(0)).toBe(fs.existsSync('/proc/self/stat'));
  });

  it.each([{ host: 'another' }, { boot: 'another' }, { pidNamespace: 'another' }, { pid: 'none' }])(
    'is abandoned only after long silence when its writer cannot be seen from here: %j',
    (elsewhere) => {
      claim(elsewhere);
      expect(abandonedAt(0)).toBe(false);
      expect(abandonedAt(SILENCE_MS + 1000)).toBe(true);
    },
  );

  it('is not taken while its claim is being written, but later if that was never finished', () => {
    fs.writeFileSync(ownerFile(), '{"pid":');
    expect(abandonedAt(0)).toBe(false);
    expect(abandonedAt(SILENCE_MS + 1000)).toBe(true);
    expect(isAbandoned(path.join(folder, 'gone'), Date.now(), SILENCE_MS)).toBe(true);
  });

  it('tells its writer when the folder was taken away', async () => {
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick'] });
    try {
      const lost = jest.fn();
      const owner = new ChainOwner(folder, lost);
      fs.rmSync(ownerFile());
      jest.advanceTimersByTime(5000);
      for (let turns = 0; lost.mock.calls.length === 0 && turns < 10_000; turns++) await new Promise(setImmediate);
      expect(lost).toHaveBeenCalledWith(expect.objectContaining({ code: 'ENOENT' }));
      owner.release();
    } finally {
      jest.useRealTimers();
    }
  });
});
