import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { SystemClock } from '@sibyl/kernel';
import type { InferenceLog } from '../inference-log';
import type { InferenceObserver } from '../inference-observer';
import { InferenceOptions } from '../inference-options';
import { OnnxRuntime } from '../onnx-runtime';

/** The time of the system, which a test may have pass at once. */
export class HurriedClock extends SystemClock {
  private aheadMs = 0;

  override monotonic(): number {
    return super.monotonic() + this.aheadMs;
  }

  pass(ms: number): void {
    this.aheadMs += ms;
  }
}

/** Says nothing. */
export const QUIET_LOG: InferenceLog = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

/** A real runtime with real processes, and the folder that it leaves when it is closed. */
export interface TestRuntime {
  readonly runtime: OnnxRuntime;
  readonly options: InferenceOptions;
  readonly clock: HurriedClock;
  close(): Promise<void>;
}

/** The built runner; builds it where the repository has not been built yet. */
export function builtRunner(): string {
  const root = path.resolve(__dirname, '../../../..');
  const runner = path.join(root, 'dist/apps/runner/main.js');
  if (!existsSync(runner)) execFileSync('npx', ['nest', 'build', 'runner'], { cwd: root, stdio: 'pipe' });
  return runner;
}

/** One runner and no spare unless `changes` say otherwise; started, so that the first load is quick. */
export async function startTestRuntime(
  changes: Partial<InferenceOptions> = {},
  observer?: InferenceObserver,
  log: InferenceLog = QUIET_LOG,
): Promise<TestRuntime> {
  const workFolder = mkdtempSync(path.join(tmpdir(), 'sibyl-runner-'));
  const defaults = { runnerPath: builtRunner(), workFolder, runners: 1, spareRunners: 0 };
  const options = Object.assign(new InferenceOptions(), defaults, changes);
  const sealKey = new Uint8Array(32).fill(7);
  const clock = new HurriedClock();
  const runtime = new OnnxRuntime({ options, clock, log, sealKey, ...(observer && { observer }) });
  const close = async (): Promise<void> => {
    await runtime.close();
    rmSync(workFolder, { recursive: true, force: true });
  };
  try {
    await runtime.start();
  } catch (error) {
    await close();
    throw error;
  }
  return { runtime, options, clock, close };
}
