import type { MemoryLimit } from './memory-groups';

/** What health and metrics show of a runtime. */
export interface RuntimeStatus {
  readonly platform: string;
  /** Whether at least one runner can take work. */
  readonly ready: boolean;
  readonly providers: readonly string[];
  /** GPUs that the driver shows. */
  readonly gpus: number;
  /** Of the providers those that a model which asks for a GPU would be tried with; none on a machine without one. */
  readonly gpuProviders: readonly string[];
  readonly runners: readonly RunnerStatus[];
  /** What ends a runner that takes too much memory: the kernel, or only whoever watches it. */
  readonly memoryLimit: MemoryLimit;
  /** Processes that could replace a runner at once. */
  readonly spareRunners: number;
  readonly models: number;
  readonly queueDepth: number;
  readonly batches: number;
}

export interface RunnerStatus {
  readonly pid: number | undefined;
  readonly state: 'starting' | 'idle' | 'busy' | 'down';
  readonly rssBytes: number | undefined;
  readonly restarts: number;
  /** The key of the only version that is in it; undefined where it is for all that are cheap to load. */
  readonly model?: string | undefined;
}
