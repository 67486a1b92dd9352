import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { FakeClock } from '@sibyl/kernel/testing';
import { GpuMeter } from './gpu-meter';

const LINE = '0, GPU-7f0e, NVIDIA H200, 37, 1024, 143771, 41, 118.52';

describe('GpuMeter', () => {
  let folder: string;
  let clock: FakeClock;
  let meter: GpuMeter;
  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'sibyl-gpu-'));
    clock = new FakeClock();
    meter = new GpuMeter(clock, {
      command: path.join(folder, 'nvidia-smi'),
      freshMs: 5000,
      retryMs: 60_000,
      limitMs: 1000,
      outputBytes: 4096,
    });
  });
  afterEach(() => {
    rmSync(folder, { recursive: true });
  });

  /** In the place of the driver's tool; each call leaves a mark. */
  function tool(script: string): void {
    const file = path.join(folder, 'nvidia-smi');
    writeFileSync(file, `#!/bin/sh\necho "$@" >> ${folder}/calls\n${script}\n`);
    chmodSync(file, 0o755);
  }
  const calls = (): string[] =>
    existsSync(`${folder}/calls`) ? readFileSync(`${folder}/calls`, 'utf8').trim().split('\n') : [];

  it('reads what the tool says, in base units', async () => {
    tool(`echo '${LINE}'`);
    expect(await meter.read()).toEqual([
      {
        index: 0,
        uuid: 'GPU-7f0e',
        name: 'NVIDIA H200',
        utilization: 0.37,
        memoryUsedBytes: 1024 * 2 ** 20,
        memoryTotalBytes: 143771 * 2 ** 20,
        temperatureCelsius: 41,
        powerWatts: 118.52,
      },
    ]);
    expect(calls()[0]).toContain('--query-gpu=index,uuid,name,utilization.gpu,memory.used,memory.total');
  });

  it('asks once for all who ask at a time, and again when what it has is old', async () => {
    tool(`echo '${LINE}'`);
    await Promise.all([meter.read(), meter.read()]);
    await meter.read();
    expect(calls()).toHaveLength(1);
    clock.advance(5001);
    await meter.read();
    expect(calls()).toHaveLength(2);
  });

  it.each([
    ['fails', 'echo "NVIDIA-SMI has failed because it could not communicate with the NVIDIA driver."; exit 9'],
    ['says nothing that can be read', 'head -c 2000 /dev/urandom'],
    ['never stops talking', 'yes'],
    ['hangs', 'exec sleep 60'],
  ])('has nothing from a tool that %s, and leaves it alone for a while', async (_, script) => {
    tool(script);
    expect(await meter.read()).toEqual([]);
    await meter.read();
    expect(calls()).toHaveLength(1);
    // The process is gone a moment after it was given up.
    await new Promise((resolve) => setTimeout(resolve, 100));
    tool(`echo '${LINE}'`);
    clock.advance(60_001);
    expect(await meter.read()).toHaveLength(1);
  });

  it('starts no other process beside one that cannot be ended', async () => {
    // What it started holds its output open, as a process in the driver's hands would.
    tool(`sleep 3 & echo $! > ${folder}/pid; exec sleep 60`);
    expect(await meter.read()).toEqual([]);
    clock.advance(60_001);
    expect(await meter.read()).toEqual([]);
    expect(calls()).toHaveLength(1);
    process.kill(Number(readFileSync(`${folder}/pid`, 'utf8')), 'SIGKILL');
  });

  it('has nothing where there is no tool', async () => {
    expect(await meter.read()).toEqual([]);
  });
});
