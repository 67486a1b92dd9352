import { IsInt, IsOptional, IsString, Max, Min } from 'class-validator';

const MEBIBYTE = 1024 * 1024;

/** What a predict request may ask for. */
export class PredictOptions {
  /** The model of `/predict` when the request names none. */
  @IsOptional()
  @IsString()
  defaultModel?: string;

  /** JSON with features: a thousand requests of a hundred features fit. */
  @IsInt()
  @Min(1024)
  @Max(1024 * MEBIBYTE)
  bodyBytes = 10 * MEBIBYTE;

  /** JSON with tensors: sixteen images of 224 by 224 fit. */
  @IsInt()
  @Min(1024)
  @Max(1024 * MEBIBYTE)
  tensorBodyBytes = 64 * MEBIBYTE;

  /** Requests of one batch: each can fail alone, so each costs an answer of its own. */
  @IsInt()
  @Min(1)
  @Max(100_000)
  batchRequests = 1_000;

  /** Rows of one call to `/v1/infer`. */
  @IsInt()
  @Min(1)
  @Max(1_000_000)
  rows = 10_000;

  /** Time until an answer when the caller says nothing. */
  @IsInt()
  @Min(1)
  @Max(60_000)
  deadlineMs = 10_000;

  /** The longest that a caller may ask for with X-Request-Timeout-Ms. */
  @IsInt()
  @Min(1)
  @Max(600_000)
  deadlineMaxMs = 60_000;

  /** Bytes of bodies over 128 KiB that arrive, are read and answered at once, all together: four of the largest. */
  @IsInt()
  @Min(1024)
  longBodiesBytes = 256 * MEBIBYTE;

  /** Larger requests are recorded by their digest alone: a spool that holds images for all eternity helps nobody. */
  @IsInt()
  @Min(0)
  @Max(16 * MEBIBYTE)
  recordedBytes = 256 * 1024;
}
