import { IsIn, IsInt, IsNumber, Max, Min } from 'class-validator';

const KIB = 1024;
const MIB = 1024 * KIB;

/** When an event counts as recorded: on stable storage, or, where it is that of a prediction or of a read of features, in the kernel's hands. */
export const AUDIT_DURABILITIES = ['durable', 'relaxed'] as const;
export type AuditDurability = (typeof AUDIT_DURABILITIES)[number];

/** Limits of the audit trail; every queue, file, batch and wait of this library. */
export class AuditOptions {
  /** `relaxed` saves each prediction and read of features the wait for the disk; only a crash of the machine shows what that costs. */
  @IsIn(AUDIT_DURABILITIES)
  durability: AuditDurability = 'durable';

  /** The predictions and reads of so much time a crash of the machine may cost in relaxed mode; those that come while the disk has
   * fallen further behind wait for it. */
  @IsInt()
  @Min(10)
  @Max(1000)
  lossWindowMs = 100;

  /** Zero-filled ahead, so that a commit never makes the file system allocate; seconds of full load fit. */
  @IsInt()
  @Min(64 * KIB)
  @Max(1024 * MIB)
  segmentBytes = 16 * MIB;

  /** What one process may keep on disk while PostgreSQL is away: an hour or more of ordinary load. */
  @IsInt()
  @Min(256 * KIB)
  spoolBytes = 2048 * MIB;

  /** Events that wait for the disk; more callers than the server admits, so only a disk that stands still fills it. */
  @IsInt()
  @Min(1)
  @Max(65_536)
  queueEvents = 8192;

  /** Memory that waiting events and payloads may take. */
  @IsInt()
  @Min(64 * KIB)
  @Max(512 * MIB)
  queueBytes = 64 * MIB;

  /** A longer payload is recorded by its digest only: reading it back would cost more than asking the caller. */
  @IsInt()
  @Min(KIB)
  @Max(256 * MIB)
  payloadBytes = 16 * MIB;

  /** A write that takes longer counts as failed to those who wait; the deadline of a request is not much longer. */
  @IsInt()
  @Min(10)
  stalledAfterMs = 2000;

  /** Between two attempts to write again after a failure, so that service returns within seconds of the disk. */
  @IsInt()
  @Min(10)
  probeIntervalMs = 1000;

  /** How long a write may be held back for requests that are about to commit, in parts of the measured write time. */
  @IsNumber()
  @Min(0)
  @Max(4)
  holdFraction = 1;

  /** Events wait this long before they are shipped, so that a batch costs PostgreSQL and this process little each. */
  @IsInt()
  @Min(0)
  @Max(60_000)
  shipDelayMs = 100;

  /** Keeps one statement well under the statement timeout of the database. */
  @IsInt()
  @Min(1)
  @Max(20_000)
  shipEvents = 2000;

  /** Keeps one message to PostgreSQL short enough that predictions do not wait for its copying. */
  @IsInt()
  @Min(KIB)
  @Max(64 * MIB)
  shipBytes = MIB;

  /** First pause after PostgreSQL did not answer; doubled up to {@link shipRetryMostMs}. */
  @IsInt()
  @Min(1)
  shipRetryMs = 200;

  /** Longest pause, so that a list is complete within seconds of the return of PostgreSQL. */
  @IsInt()
  @Min(1)
  shipRetryMostMs = 2000;

  /** How often the chains of processes that died are looked for in the shared folder. */
  @IsInt()
  @Min(10)
  adoptIntervalMs = 5000;

  /** Where it cannot be told whether the owner of a chain lives (another host or container): silence this long is death. */
  @IsInt()
  @Min(100)
  abandonedAfterMs = 60_000;

  /** A query waits this long for events of its own process that are still on their way to PostgreSQL. */
  @IsInt()
  @Min(1)
  readYourWritesMs = 1000;
}
