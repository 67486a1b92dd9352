import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { SpoolReader } from './spool-reader';
import { KILLED_WRITER } from './testing/killed-writer';

const KILLS = 12;
const LOADER = path.resolve(__dirname, '../../../test/support/load-typescript.cjs');

/** Runs the writer until it has acknowledged some, kills it without warning, and answers what it acknowledged. */
async function acknowledgedBeforeKill(folder: string, least: number): Promise<string[]> {
  const child = spawn(process.execPath, ['-r', LOADER, KILLED_WRITER, folder], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
    if (output.length >= 5 * least) child.kill('SIGKILL');
  });
  await once(child, 'close');
  // The last line may be cut: it was acknowledged, but which one it was is unknown.
  return output.split('\n').slice(0, -1);
}

async function recovered(folder: string): Promise<string[]> {
  const reader = new SpoolReader(folder, path.basename(folder));
  const names: string[] = [];
  for (let seq = 0; ;) {
    const batch = await reader.next(seq, { events: 1000, bytes: 1024 * 1024 });
    if (!batch) break;
    expect(batch.firstSeq).toBe(seq + 1);
    batch.offsets.forEach((offset, index) => {
      const text = batch.chunk.toString('latin1', offset, offset + (batch.lengths[index] ?? 0));
      names.push((JSON.parse(text) as { request_id: string }).request_id);
    });
    seq += batch.offsets.length;
  }
  expect(reader.damages).toBe(0);
  await reader.close();
  return names;
}

describe('a process that is killed', () => {
  it(`has lost nothing that it acknowledged and recorded nothing twice, ${KILLS} times`, async () => {
    for (let round = 0; round < KILLS; round++) {
      const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'sibyl-kill-'));
      const acknowledged = await acknowledgedBeforeKill(folder, 50 + 60 * round);
      const found = await recovered(folder);
      expect(acknowledged.length).toBeGreaterThan(0);
      expect(new Set(found).size).toBe(found.length);
      const present = new Set(found);
      expect(acknowledged.filter((name) => !present.has(name))).toEqual([]);
      fs.rmSync(folder, { recursive: true });
    }
  }, 120_000);
});
