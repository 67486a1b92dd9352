import { FakeClock } from '@sibyl/kernel/testing';
import { FRAME_TYPES, FrameDecoder, FrameEncoder, type RunnerFrame, type Tensor } from '@sibyl/protocol';
import { Batch } from '../batch';
import { BatchScheduler, type RunnerPlace } from '../batch-scheduler';
import { InferenceOptions } from '../inference-options';
import { NO_OBSERVER } from '../inference-observer';
import type { LoadOptions } from '../model-runtime';
import type { Runner, RunnerWork } from '../runner';
import { ServedVersion, type ServedVersionHost } from '../served-version';
import { QUIET_LOG } from './test-runtime';

const FRAME_BYTES = 16 * 1024 * 1024;
const OPTIONS: LoadOptions = { devicePolicy: 'cpu_only', batchable: true, maxBatchRows: 256, warmup: [] };
const COLUMN = { name: 'x', datatype: 'FP32', shape: [-1] } as const;

/** Ms that a batch of so many rows takes. */
export type Cost = (rows: number) => number;

/** What was run, in order. */
export interface SimulatedRun {
  readonly key: string;
  readonly rows: number;
  readonly startedAt: number;
  readonly ms: number;
  readonly place: number;
}

/** What the simulated model answers: by default the rows that it was given. */
export type Respond = (values: readonly number[]) => readonly number[];

/**
 * A scheduler over runners that take the time they are said to take, on a clock that only the simulation moves: what it decides
 * can be told to the millisecond on any machine.
 */
export class SimulatedPool {
  readonly clock = new FakeClock();
  readonly runs: SimulatedRun[] = [];
  readonly options = Object.assign(new InferenceOptions(), { runners: 1 });
  private readonly places: SimulatedPlace[];
  private readonly scheduler: BatchScheduler;
  private sessions = 0;

  constructor(runners = 1) {
    this.options.runners = runners;
    this.places = Array.from({ length: runners }, (_, i) => new SimulatedPlace(this, i));
    this.scheduler = new BatchScheduler(this.places, this.clock, NO_OBSERVER, QUIET_LOG);
  }

  get now(): number {
    return this.clock.monotonic();
  }

  version(
    key: string,
    cost: Cost,
    options: Partial<LoadOptions> = {},
    respond?: Respond,
    places: readonly number[] = this.places.map((_, i) => i),
  ): ServedVersion {
    const host: ServedVersionHost = {
      clock: this.clock,
      options: this.options,
      wake: (flow) => this.scheduler.wake(flow),
      onDropped: () => undefined,
      unload: () => Promise.resolve(),
      totalBytes: () => 0,
      shrink: () => Promise.resolve(false),
      onNotBatchable: (version) => this.scheduler.onNotBatchable(version),
      runnersOf: () => places.length,
      onTripped: () => undefined,
      onTried: () => undefined,
      onMended: () => undefined,
    };
    const version = new ServedVersion({ key, path: '' }, { ...OPTIONS, ...options }, [], ++this.sessions, host);
    version.describe({ provider: 'cpu', inputs: [COLUMN], outputs: [COLUMN], loadMs: 1, loadCpuMs: 1, memoryBytes: 1 });
    for (const index of places) this.places[index]?.load(version, cost, respond);
    version.alone = places.length < this.places.length;
    return version;
  }

  /** Lets time pass: batches end and others begin, as they would in so many milliseconds. */
  async run(ms: number): Promise<void> {
    const until = this.now + ms;
    await this.settle();
    for (let next = this.nextEnd(); next !== undefined && next.endsAt <= until; next = this.nextEnd()) {
      this.clock.advance(Math.max(0, next.endsAt - this.now));
      next.end();
      await this.settle();
    }
    this.clock.advance(until - this.now);
  }

  /** Until nothing runs. */
  async drain(): Promise<void> {
    await this.settle();
    for (let next = this.nextEnd(); next !== undefined; next = this.nextEnd()) await this.run(next.endsAt - this.now);
  }

  idle(): void {
    this.scheduler.idle();
  }

  /** The turns of the event loop in which the scheduler gathers. */
  private async settle(): Promise<void> {
    for (let i = 0; i < 24; i++) await new Promise(setImmediate);
  }

  private nextEnd(): SimulatedPlace | undefined {
    const busy = this.places.filter((place) => place.busy);
    return busy.sort((a, b) => a.endsAt - b.endsAt)[0];
  }
}

/** A runner without a process. */
class SimulatedPlace implements RunnerPlace {
  endsAt = 0;
  private work: RunnerWork | undefined;
  private readonly costs = new Map<number, { cost: Cost; respond: Respond | undefined }>();
  private readonly runner: Runner;

  constructor(
    private readonly pool: SimulatedPool,
    private readonly index: number,
  ) {
    this.runner = {
      sessions: new Set<number>(),
      encoder: new FrameEncoder(FRAME_BYTES),
      nextRequest: () => 1,
      begin: (work: RunnerWork) => this.begin(work),
    } as unknown as Runner;
  }

  get busy(): boolean {
    return this.work !== undefined;
  }

  get idleRunner(): Runner | undefined {
    return this.busy ? undefined : this.runner;
  }

  load({ session }: ServedVersion, cost: Cost, respond: Respond | undefined): void {
    this.costs.set(session, { cost, respond });
    this.runner.sessions.add(session);
  }

  end(): void {
    const { work } = this;
    if (!(work instanceof Batch)) return;
    this.work = undefined;
    this.pool.idle();
    const values = work.entries.flatMap(({ request }) => Array.from(request.inputs[0]?.data as Float32Array));
    const answer = this.costs.get(work.version.session)?.respond?.(values) ?? values;
    work.answered(outputFrame(answer));
  }

  private begin(work: RunnerWork): void {
    if (!(work instanceof Batch)) return;
    const { version, rows } = work;
    const ms = this.costs.get(version.session)?.cost(rows) ?? 0;
    this.work = work;
    this.endsAt = this.pool.now + ms;
    this.pool.runs.push({ key: version.key, rows, startedAt: this.pool.now, ms, place: this.index });
  }
}

function outputFrame(values: readonly number[]): RunnerFrame {
  const encoder = new FrameEncoder(FRAME_BYTES);
  encoder.begin(FRAME_TYPES.outputs, 1, 1);
  encoder.openTensor(0, 'FP32', [values.length]);
  encoder.append(Float32Array.from(values));
  encoder.closeTensor();
  const decoder = new FrameDecoder(FRAME_BYTES);
  decoder.push(encoder.end());
  const frame = decoder.next();
  if (frame === undefined) throw new Error('the frame is incomplete');
  return frame;
}

/** A column of numbers. */
export function column(...values: number[]): Tensor {
  return { name: 'x', datatype: 'FP32', shape: [values.length], data: Float32Array.from(values) };
}
