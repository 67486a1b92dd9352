import { IsInt, Max, Min } from 'class-validator';

const MEBIBYTE = 1024 * 1024;
const DAY_MS = 24 * 3_600_000;

/** What an operator may set of training sets. */
export class TrainingOptions {
  /** Of the files of all of them, with the rows that were sent for them: of one caller half of it, so that another one finds room. */
  @IsInt()
  @Min(16 * MEBIBYTE)
  totalBytes = 40 * 1024 * MEBIBYTE;

  /** How long a finished file is kept at most: a weekend's work is fetched on the day it was made. */
  @IsInt()
  @Min(60_000)
  @Max(30 * DAY_MS)
  keptMs = DAY_MS;
}
