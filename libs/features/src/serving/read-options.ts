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

  /** How long the log may take for a read of now where its caller does not say. */
  @IsInt()
  @Min(1)
  @Max(60_000)
  deadlineMs = 250;
}
