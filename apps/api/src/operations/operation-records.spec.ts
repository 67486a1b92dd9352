import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { DomainError } from '@sibyl/kernel';
import type { Operation } from './operation';
import { OperationRecords } from './operation-records';

const HOUR = 3_600_000;
const ID = '01a20168-62a4-7000-8dd9-e1ecf0c02dd8';
const RUNNING: Operation = {
  id: ID,
  kind: 'feature.historical',
  keyId: 'k',
  startedAtMs: 1,
  status: 'running',
  progress: { done: 1, total: 2 },
};

describe('records of operations', () => {
  let folder: string;
  const warnings: unknown[] = [];
  const open = (): OperationRecords =>
    new OperationRecords(folder, HOUR, { warn: (fields: unknown) => warnings.push(fields) } as never);

  beforeEach(async () => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'sibyl-records-'));
    warnings.length = 0;
    await open().start();
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  /** As a process would have left it that has this number and this host. */
  function leaveBy(pid: number): void {
    const file = path.join(folder, `${ID}.json`);
    const kept = JSON.parse(readFileSync(file, 'utf8')) as { owner: string };
    writeFileSync(file, JSON.stringify({ ...kept, owner: kept.owner.replace(/-\d+$/, `-${pid}`) }));
  }

  it('tell of what has ended after a restart too, result and faults and all', async () => {
    const faults = [{ pointer: '/rows/1' }];
    await open().keep({ ...RUNNING, status: 'succeeded', endedAtMs: 2, result: { file: 'x' } });
    expect(await open().start()).toEqual([]);
    expect(await open().find(ID)).toEqual({ ...RUNNING, status: 'succeeded', endedAtMs: 2, result: { file: 'x' } });
    await open().keep({ ...RUNNING, status: 'failed', error: new DomainError('invalid_parameter', 'no', { faults }) });
    expect((await open().find(ID))?.error).toMatchObject({ code: 'invalid_parameter', detail: 'no', faults });
  });

  it('know that an operation has failed whose process is gone, and name it once', async () => {
    await open().keep(RUNNING);
    leaveBy(spawnSync(process.execPath, ['-e', '']).pid);
    expect(await open().find(ID)).toMatchObject({ status: 'failed', error: { code: 'shutting_down' } });
    expect(await open().start()).toEqual([ID]);
    expect(warnings).toEqual([{ operationId: ID, kind: 'feature.historical' }]);
    expect(await open().start()).toEqual([]);
    expect(await open().find(ID)).toMatchObject({ status: 'failed', error: { code: 'shutting_down' } });
  });

  it('leave alone what another process runs', async () => {
    await open().keep(RUNNING);
    leaveBy(process.ppid);
    expect(await open().start()).toEqual([]);
    expect(await open().find(ID)).toMatchObject({ status: 'running' });
  });

  it('are kept for so long, and take nothing else for one of theirs', async () => {
    await open().keep({ ...RUNNING, status: 'succeeded' });
    const old = Date.now() / 1000 - 2 * 3600;
    writeFileSync(path.join(folder, `${ID}.json.part`), 'half');
    for (const name of readdirSync(folder)) utimesSync(path.join(folder, name), old, old);
    writeFileSync(path.join(folder, '01a20168-62a4-7000-8dd9-e1ecf0c02dd9.json'), '{"half');
    await open().start();
    expect(readdirSync(folder)).toEqual(['01a20168-62a4-7000-8dd9-e1ecf0c02dd9.json']);
    for (const id of ['01a20168-62a4-7000-8dd9-e1ecf0c02dd9', '../../etc/passwd', ID])
      expect(await open().find(id)).toBeUndefined();
  });

  it('of a key that has many make room for its own, and those of others stay', async () => {
    const few = (): OperationRecords => new OperationRecords(folder, HOUR, { warn: () => undefined }, 3);
    const idOf = (i: number): string => ID.slice(0, -1) + String(i);
    const ended = (i: number, keyId: string): Operation => ({ ...RUNNING, id: idOf(i), keyId, status: 'succeeded' });
    const records = few();
    await records.keep(ended(0, 'other'));
    for (let i = 1; i <= 5; i++) await records.keep(ended(i, 'k'));
    const left = async (): Promise<number[]> => {
      const found = await Promise.all([0, 1, 2, 3, 4, 5, 6].map(async (i) => [i, await few().find(idOf(i))] as const));
      return found.flatMap(([i, one]) => (one ? [i] : []));
    };
    expect(await left()).toEqual([0, 3, 4, 5]);
    // After a restart too.
    const times = [0, 3, 4, 5].map((i) => [path.join(folder, `${idOf(i)}.json`), Date.now() / 1000 - 60 + i] as const);
    for (const [file, at] of times) utimesSync(file, at, at);
    const later = few();
    await later.start();
    await later.keep(ended(6, 'k'));
    expect(await left()).toEqual([0, 4, 5, 6]);
  });

  it('that cannot be written hold nobody up', async () => {
    rmSync(folder, { recursive: true });
    await open().keep(RUNNING);
    expect(warnings).toEqual([expect.objectContaining({ operationId: ID })]);
    await open().start();
    expect(existsSync(folder)).toBe(true);
  });
});
