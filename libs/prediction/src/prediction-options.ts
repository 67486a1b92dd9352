import { IsIn, IsInt, Max, Min } from 'class-validator';
import type { DevicePolicy } from '@sibyl/inference';

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
}
