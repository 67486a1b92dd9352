/** Why a runner ended without being asked to. */
export type RunnerLoss = 'crashed' | 'overran' | 'memory' | 'protocol';

/** What the runtime tells about itself, for metrics. Called on the hot path: implementations only count. */
export interface InferenceObserver {
  /** A batch was answered: its rows, how long its oldest request had waited, how long the runner took. */
  onBatch(key: string, rows: number, queueMs: number, runMs: number): void;
  /** A request left the queue without having been run. */
  onDropped(key: string, reason: 'expired' | 'aborted' | 'refused'): void;
  onModelLoaded(key: string, loadMs: number, memoryBytes: number): void;
  onModelUnloaded(key: string): void;
  /** `key` is the model whose batch was running, if one was. */
  onRunnerLost(reason: RunnerLoss, key: string | undefined): void;
  /** A runner takes work: how long it took to have one, with the models that requests waited for. */
  onRunnerReady(startMs: number): void;
}

/** Looks away. */
export const NO_OBSERVER: InferenceObserver = {
  onBatch: () => undefined,
  onDropped: () => undefined,
  onModelLoaded: () => undefined,
  onModelUnloaded: () => undefined,
  onRunnerLost: () => undefined,
  onRunnerReady: () => undefined,
};
