import { IsInt, Min } from 'class-validator';

const MEBIBYTE = 1024 * 1024;

/** What an operator may set of reads. */
export class OnlineOptions {
  /** Entity states in memory: some 10,000 entities with 512 candles each. */
  @IsInt()
  @Min(MEBIBYTE)
  stateBytes = 256 * MEBIBYTE;

  /** Vectors of past moments. */
  @IsInt()
  @Min(MEBIBYTE)
  pastBytes = 32 * MEBIBYTE;
}
