import type { InferenceOptions } from './inference-options';

/** What a load is expected to take, as far as a trial and the files tell. */
export interface ExpectedLoad {
  /** Processor time of the load in its trial. */
  readonly loadCpuMs?: number | undefined;
  /** What the process of its trial grew by. */
  readonly memoryBytes?: number | undefined;
  /** Size of the files that are loaded. */
  readonly fileBytes: number;
}

export type PlacementLimits = Pick<InferenceOptions, 'ownLoadMs' | 'ownBytes'>;

/** What a process takes before it holds a model. */
export const PROCESS_BYTES = 40 * 1024 * 1024;

/** Whether loading it would hold up the models beside it, or leave holes in their memory when it goes again. */
export function needsOwnRunner(expected: ExpectedLoad, { ownLoadMs, ownBytes }: PlacementLimits): boolean {
  return (expected.loadCpuMs ?? 0) > ownLoadMs || copyBytes(expected) > ownBytes;
}

/** What one process takes for it. One that has memory to spare does not grow for a small model, which is in it all the same. */
export function copyBytes({ memoryBytes = 0, fileBytes }: ExpectedLoad): number {
  return Math.max(memoryBytes, fileBytes);
}
