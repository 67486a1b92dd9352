import { execFile } from 'node:child_process';
import type { Clock } from '@sibyl/kernel';
import { parseGpuReadings, QUERY, type GpuReading } from './gpu-reading';

export interface GpuMeterOptions {
  /** The driver's own tool, by its path or found on PATH. */
  readonly command: string;
  /** Readings are shared for so long: scrapers come every few seconds, and each look starts a process. */
  readonly freshMs: number;
  /** No new attempt for so long after one that failed: most machines have no such tool at all. */
  readonly retryMs: number;
  /** The driver may take a second for its first answer after a pause; whoever asks waits no longer. */
  readonly limitMs: number;
  /** Of what the tool says: 64 GPUs are 10 KiB. */
  readonly outputBytes: number;
}

const DEFAULTS: GpuMeterOptions = {
  command: 'nvidia-smi',
  freshMs: 5_000,
  retryMs: 60_000,
  limitMs: 2_000,
  outputBytes: 64 * 1024,
};

/** What the driver's own tool says of the GPUs; nothing on a machine without one, or while the tool does not answer. */
export class GpuMeter {
  private readings: readonly GpuReading[] = [];
  private validUntil = -Infinity;
  private looking: Promise<readonly GpuReading[]> | undefined;
  /** A process that waits for a broken driver cannot be killed; no other is started beside it. */
  private stuck = false;

  constructor(
    private readonly clock: Clock,
    private readonly options: GpuMeterOptions = DEFAULTS,
  ) {}

  read(): Promise<readonly GpuReading[]> {
    if (this.looking !== undefined) return this.looking;
    if (this.stuck || this.clock.monotonic() < this.validUntil) return Promise.resolve(this.readings);
    this.looking = this.look().finally(() => (this.looking = undefined));
    return this.looking;
  }

  private async look(): Promise<readonly GpuReading[]> {
    const text = await this.ask();
    this.readings = text === undefined ? [] : parseGpuReadings(text);
    const keptMs = this.readings.length > 0 ? this.options.freshMs : this.options.retryMs;
    this.validUntil = this.clock.monotonic() + keptMs;
    return this.readings;
  }

  /** What the tool prints; undefined where there is none, it fails, says too much or takes too long. */
  private ask(): Promise<string | undefined> {
    const { command, limitMs, outputBytes } = this.options;
    return new Promise((resolve) => {
      this.stuck = true;
      const child = execFile(command, QUERY, { maxBuffer: outputBytes }, (error, stdout) => {
        clearTimeout(timer);
        this.stuck = false;
        resolve(error === null ? stdout : undefined);
      });
      const timer = setTimeout(() => {
        child.kill('SIGKILL');
        resolve(undefined);
      }, limitMs);
    });
  }
}
