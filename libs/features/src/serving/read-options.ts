import { CLOCK_SKEW_MS, CLOCK_SKEW_MS_MAX } from '../log/log-options';
import { IsInt, Max, Min } from 'class-validator';

const MEBIBYTE = 1024 * 1024;

/** What an operator may set of reads. */
export class ReadOptions {
  /** States of entities in memory; one with 512 bars of five fields has some 25 kB. */
  @IsInt()
  @Min(MEBIBYTE)
  stateBytes = 256 * MEBIBYTE;

  /** Vectors of the past in memory. */
  @IsInt()
  @Min(MEBIBYTE)
  pastBytes = 32 * MEBIBYTE;

  /** Clocks of callers run ahead by so much: times of requests within it mean now. */
  @IsInt()
  @Min(0)
  @Max(CLOCK_SKEW_MS_MAX)
  clockSkewMs = CLOCK_SKEW_MS;

  /** How long the log may take for a read of now where its caller does not say. */
  @IsInt()
  @Min(1)
  @Max(60_000)
  deadlineMs = 250;
}
