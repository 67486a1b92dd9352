import { IsInt, IsOptional, IsString, Max, Min } from 'class-validator';

/** An hour: the log makes no room for events of a later day. */
export const CLOCK_SKEW_MS_MAX = 3_600_000;
export const CLOCK_SKEW_MS = 5000;

/** What an operator may set of the log of events. */
export class LogOptions {
  /** Three seconds of what one server stores. */
  @IsInt()
  @Min(1000)
  @Max(10_000_000)
  queueEvents = 60_000;

  @IsInt()
  @Min(1_048_576)
  queueBytes = 64 * 1_048_576;

  /** Of one caller: half of the queue, so that another one always finds room. */
  @IsInt()
  @Min(500)
  callerEvents = 30_000;

  /** And of its bytes, for the same reason. */
  @IsInt()
  @Min(524_288)
  callerBytes = 32 * 1_048_576;

  /** Longer in the queue, and the caller is told that its events were not stored. */
  @IsInt()
  @Min(100)
  queueWaitMs = 10_000;

  /** Events of one transaction: more make it no faster, and hold the locks of their entities longer. */
  @IsInt()
  @Min(1)
  @Max(10_000)
  batchEvents = 2000;

  /** Bytes of one transaction: large events would hold up those of others, and take longer than a statement may. */
  @IsInt()
  @Min(1)
  batchBytes = 4 * 1_048_576;

  /** Transactions at once; one waits for the disk while the other computes. */
  @IsInt()
  @Min(1)
  @Max(8)
  writers = 2;

  /** Clocks of producers run ahead by so much: events within it are taken, and count when their time has come. */
  @IsInt()
  @Min(0)
  @Max(CLOCK_SKEW_MS_MAX)
  clockSkewMs = CLOCK_SKEW_MS;

  /** A Redis through which processes tell each other of commits at once. */
  @IsOptional()
  @IsString()
  redisUrl?: string;

  /** How often the commits of other processes are looked for. */
  @IsInt()
  @Min(50)
  @Max(60_000)
  pollMs = 1000;

  /** How often cuts of the log are looked for that no stream keeps any more. */
  @IsInt()
  @Min(1000)
  retentionMs = 600_000;
}
