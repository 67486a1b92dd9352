import { totalmem } from 'node:os';
import { IsArray, IsIn, IsInt, Matches, Max, Min } from 'class-validator';
import type { DevicePolicy } from '@sibyl/inference';

const MIB = 1024 * 1024;
const MODEL_SHARE = 0.6;

/** Settings of serving. */
export class PredictionOptions {
  /** How often the registry is read without being told, in milliseconds: a lost notification costs at most this. */
  @IsInt()
  @Min(100)
  @Max(600_000)
  refreshMs = 2_000;

  /** After a failed load, no new attempt for this long, so that a broken model does not keep the runners busy. */
  @IsInt()
  @Min(100)
  @Max(600_000)
  loadRetryMs = 5_000;

  /** How long a promotion waits for the version to be warm: large models load for a minute. */
  @IsInt()
  @Min(100)
  @Max(600_000)
  prewarmLimitMs = 120_000;

  /** Rows that one run may hold when the manifest does not say; beyond a few hundred a tree model gains nothing more. */
  @IsInt()
  @Min(1)
  @Max(65_536)
  maxBatchRows = 256;

  /** Where models run when the manifest does not say. */
  @IsIn(['gpu_required', 'gpu_preferred', 'cpu_only'])
  devicePolicy: DevicePolicy = 'gpu_preferred';

  /** Memory for loaded models, in all runners together: the rest is for the server, PostgreSQL and the page cache. */
  @IsInt()
  @Min(16 * MIB)
  modelMemoryBytes = Math.floor(MODEL_SHARE * availableMemory());

  /** A version that nobody has asked for in this time is unloaded, unless it is pinned; 0: never. */
  @IsInt()
  @Min(0)
  modelIdleMs = 3_600_000;

  /** Requests that may wait for a version that is being loaded: as many as may wait for one that is. */
  @IsInt()
  @Min(1)
  awaitingRequests = 1024;

  /** Bytes of their inputs; a single request is taken whatever its size. */
  @IsInt()
  @Min(1)
  awaitingBytes = 256 * MIB;

  /** Versions that stay loaded beside those that aliases point at and those whose manifest says so: `model@version`. */
  @IsArray()
  @Matches(/^[^@]+@[^@]+$/, { each: true })
  keepLoaded: readonly string[] = [];
}

/** What a container may use, or the machine has. */
function availableMemory(): number {
  const limit = process.constrainedMemory();
  return limit > 0 ? Math.min(limit, totalmem()) : totalmem();
}
