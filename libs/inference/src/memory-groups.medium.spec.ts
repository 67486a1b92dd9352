import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { endlessModel, hugeOutputModel, unaryModel } from '@sibyl/onnx/testing';
import type { Tensor } from '@sibyl/protocol';
import type { InferenceLog } from './inference-log';
import { NO_OBSERVER, type RunnerLoss } from './inference-observer';
import type { InferenceOptions } from './inference-options';
import { MemoryGroups } from './memory-groups';
import { ownHierarchy } from './memory-hierarchy';
import type { LoadOptions } from './model-runtime';
import { startOf } from './runner-process';
import { QUIET_LOG, startTestRuntime, type TestRuntime } from './testing';

const MIB = 1024 * 1024;
const OPTIONS: LoadOptions = { devicePolicy: 'cpu_only', batchable: false, maxBatchRows: 1, warmup: [] };
const ONE: Tensor = { name: 'x', datatype: 'FP32', shape: [1], data: Float32Array.of(1) };
const NOTHING: Tensor = { name: 'x', datatype: 'INT64', shape: [], data: BigInt64Array.of(0n) };
/** 1.6 GB, in a fraction of a second. */
const ELEMENTS = 400_000_000n;

const read = (name: string): string => readFileSync(`/proc/self/${name}`, 'utf8');
const hierarchy = process.platform === 'linux' ? ownHierarchy(read('cgroup'), read('mountinfo')) : undefined;
const isWritable = MemoryGroups.open('auto', QUIET_LOG).kind !== 'watched';
const base = hierarchy?.folder ?? '';
const groups = (): string[] => readdirSync(base).filter((name) => name.startsWith(`sibyl-runner-${process.pid}-`));

const folder = mkdtempSync(path.join(tmpdir(), 'sibyl-models-'));
afterAll(() => rmSync(folder, { recursive: true }));

function file(key: string, bytes: Buffer): { key: string; path: string } {
  const place = path.join(folder, `${key}.onnx`);
  writeFileSync(place, bytes);
  return { key, path: place };
}

let test: TestRuntime;
let lost: [RunnerLoss, string | undefined][];

/** Whatever notices here that there is too little memory, it is not the watch: that looks every ten seconds. */
async function start(changes: Partial<InferenceOptions> = {}): Promise<void> {
  lost = [];
  test = await startTestRuntime(
    { runnerMemoryBytes: 256 * MIB, tickMs: 1000, runLimitMs: 60_000, ...changes },
    { ...NO_OBSERVER, onRunnerLost: (reason, key) => lost.push([reason, key]) },
  );
}

async function ask(key: string, bytes: Buffer): Promise<readonly Tensor[]> {
  const model = await test.runtime.load(file(key, bytes), OPTIONS);
  return model.infer({ inputs: [ONE], rows: 1, deadlineAt: performance.now() + 60_000, aborted: false });
}

(isWritable ? describe : describe.skip)('where control groups can be made', () => {
  afterEach(() => test?.close());

  it('a runner that asks for too much at once is ended by the kernel, and its request is told why', async () => {
    await start();
    expect(test.runtime.status().memoryLimit).toBe(hierarchy?.kind);
    await expect(ask('huge', hugeOutputModel(ELEMENTS))).rejects.toMatchObject({
      code: 'model_crashed_on_input',
      message: expect.stringContaining('more memory than its process may use') as string,
    });
    expect(lost).toEqual([
      ['memory', 'huge'],
      ['memory', 'huge'],
    ]);
    const [y] = await ask('modest', unaryModel('Neg'));
    expect(y?.data).toEqual(Float32Array.of(-1));
  });

  it('a process that tries a model is held to the memory of a trial', async () => {
    await start();
    const limits = { memoryBytes: 128 * MIB, limitMs: 5000 };
    const trial = test.runtime.trial(file('endless', endlessModel()), { samples: [[NOTHING]] }, limits);
    trial.catch(() => undefined);
    const limit = hierarchy?.kind === 'cgroup_v2' ? 'memory.max' : 'memory.limit_in_bytes';
    const isHeld = (): boolean =>
      groups().some((name) => Number(readFileSync(path.join(base, name, limit), 'utf8')) === 192 * MIB);
    for (let tries = 0; tries < 1000 && !isHeld(); tries++) await new Promise((resolve) => setTimeout(resolve, 2));
    expect(isHeld()).toBe(true);
    await test.close();
    await expect(trial).rejects.toMatchObject({ code: 'shutting_down' });
    expect(groups()).toEqual([]);
  });

  it('a runner that crashes for another reason is not taken for one that had too little memory', async () => {
    await start();
    const [runner] = test.runtime.status().runners;
    process.kill(runner?.pid ?? 0, 'SIGKILL');
    await test.runtime.load(file('other', unaryModel('Neg')), OPTIONS);
    expect(lost).toEqual([['crashed', undefined]]);
  });

  it('each runner has a group of its own, and takes it along when it ends', async () => {
    await start({ runners: 2 });
    expect(groups()).toHaveLength(2);
    for (const { pid } of test.runtime.status().runners) {
      expect(readFileSync(`/proc/${pid}/cgroup`, 'utf8')).toContain(`sibyl-runner-${process.pid}-`);
    }
    await test.close();
    expect(groups()).toEqual([]);
  });

  it('what a killed server left is removed; what lives, is in use or is of others stays', () => {
    const begun = startOf(process.ppid);
    const left = [`sibyl-runner-${process.ppid}-1-1`, 'sibyl-runner-4194999-1-2'];
    const others = [`sibyl-runner-${process.ppid}-${begun}-1`, 'sibyl-runner-x-1-1', 'another'];
    const made = [...left, ...others].map((name) => path.join(base, name));
    for (const place of made) mkdirSync(place);
    try {
      MemoryGroups.open('auto', QUIET_LOG);
      expect(left.filter((name) => existsSync(path.join(base, name)))).toEqual([]);
      expect(others.filter((name) => existsSync(path.join(base, name)))).toEqual(others);
    } finally {
      for (const place of made) if (existsSync(place)) rmdirSync(place);
    }
  });
});

describe('where no control group can be made', () => {
  const said: string[] = [];
  const log: InferenceLog = {
    ...QUIET_LOG,
    debug: () => said.push('debug'),
    warn: () => said.push('warn'),
  };
  beforeEach(() => said.splice(0));

  it('the watch ends a runner all the same', async () => {
    await start({ runnerGroups: 'off', tickMs: 5, runnerMemoryBytes: 128 * MIB });
    expect(test.runtime.status().memoryLimit).toBe('watched');
    await expect(ask('huge', hugeOutputModel(ELEMENTS))).rejects.toMatchObject({ code: 'model_crashed_on_input' });
    expect(lost[0]).toEqual(['memory', 'huge']);
    await test.close();
  });

  it('a folder that an operator names and that is none is worth a warning', () => {
    expect(MemoryGroups.open(folder, log).kind).toBe('watched');
    expect(MemoryGroups.open('/nowhere', log).kind).toBe('watched');
    expect(said).toEqual(['warn', 'warn']);
  });

  it('the limit of the memory is put where version 2 has it', async () => {
    // No machine of ours has version 2 with memory; its files are told here, the kernel's part is not.
    const place = mkdtempSync(path.join(folder, 'v2-'));
    writeFileSync(path.join(place, 'cgroup.subtree_control'), 'cpu pids\n');
    const made = MemoryGroups.open(place, log);
    expect(made.kind).toBe('cgroup_v2');
    expect(readFileSync(path.join(place, 'cgroup.subtree_control'), 'utf8')).toBe('+memory');
    const group = made.confine(1234567, 100 * MIB);
    await group?.joined;
    const inGroup = (name: string): string => path.join(place, group?.name ?? '', name);
    expect(readFileSync(inGroup('memory.max'), 'utf8')).toBe(String(164 * MIB));
    expect(readFileSync(inGroup('memory.swap.max'), 'utf8')).toBe('0');
    expect(readFileSync(inGroup('cgroup.procs'), 'utf8')).toBe('1234567');
    expect(group?.exceeded).toBe(false);
    writeFileSync(inGroup('memory.events'), 'low 0\nhigh 0\nmax 12\noom 1\noom_kill 1\noom_group_kill 0\n');
    expect(group?.exceeded).toBe(true);
    writeFileSync(inGroup('memory.events'), 'low 0\nhigh 0\nmax 0\noom 0\noom_kill 1\n');
    expect(group?.exceeded).toBe(false);
  });
});
