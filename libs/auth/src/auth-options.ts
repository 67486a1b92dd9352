import { IsInt, Max, Min } from 'class-validator';

/** Every limit and wait of this library, with its reason; apps map settings to it. */
export class AuthOptions {
  /** How often the key table asks the database for changes. Half of the promised second, so that a lost NOTIFY does not break it. */
  @IsInt()
  @Min(50)
  @Max(60_000)
  pollMs = 500;

  /** Age of the key table past which only `predict` is allowed: an outage must not keep a revoked administrator in power. */
  @IsInt()
  @Min(1_000)
  staleLimitMs = 15 * 60_000;

  /** Keys read by one statement: 10,000 rows stay well under the statement timeout. */
  @IsInt()
  @Min(1)
  @Max(100_000)
  loadBatch = 10_000;

  /** Live keys that may exist: the key table is held in memory, about 1 KiB each. */
  @IsInt()
  @Min(1)
  keys = 100_000;

  /** Days for which a revoked key is still answered `key_revoked`; later `key_unknown`, so that memory does not grow for ever. */
  @IsInt()
  @Min(1)
  revokedShownDays = 90;

  /** Failed authentications allowed to one client address in `failedAuthenticationSeconds`: a typing human never gets there. */
  @IsInt()
  @Min(1)
  @Max(1_000_000)
  failedAuthentications = 100;

  @IsInt()
  @Min(1)
  @Max(86_400)
  failedAuthenticationSeconds = 10;

  /** Buckets that one rate limiter keeps: about 100 bytes each, the least recently used half goes first. */
  @IsInt()
  @Min(2)
  limiterEntries = 100_000;

  /** Largest `rate_limit.requests`, and largest `rate_limit.seconds` below: their product stays an exact integer. */
  @IsInt()
  @Min(1)
  @Max(1_000_000)
  rateLimitRequests = 1_000_000;

  @IsInt()
  @Min(1)
  @Max(86_400)
  rateLimitSeconds = 86_400;

  /** Largest `quota.requests`. */
  @IsInt()
  @Min(1)
  quotaRequests = 1_000_000_000_000;

  /** Scopes, model globs and networks of one key: each is tried in turn on a request. */
  @IsInt()
  @Min(1)
  @Max(1_000)
  grantsPerKey = 100;

  /** Characters of a key's name and of its owner. */
  @IsInt()
  @Min(1)
  @Max(1_000)
  nameLength = 200;

  /** Keys on a page of the list unless the caller asks for another number. */
  @IsInt()
  @Min(1)
  pageSize = 100;

  /** Most keys on one page: about 500 KiB of JSON. */
  @IsInt()
  @Min(1)
  pageLimit = 1_000;

  /** How often quota counts are saved: what a crash forgets, and by how much several processes may overshoot. */
  @IsInt()
  @Min(50)
  quotaFlushMs = 5_000;

  /** Least time between two saves of when keys were last used: nobody needs it finer. */
  @IsInt()
  @Min(50)
  lastUsedFlushMs = 15_000;

  /** Keys saved by one statement. */
  @IsInt()
  @Min(1)
  usageBatch = 1_000;

  /** How long the answer to an Idempotency-Key is kept. */
  @IsInt()
  @Min(1_000)
  idempotencyKeptMs = 24 * 3_600_000;

  /** After this long without a sign of life a running request is taken for dead; live ones renew at a third of it. */
  @IsInt()
  @Min(300)
  idempotencyLeaseMs = 60_000;

  /** Characters of an Idempotency-Key. */
  @IsInt()
  @Min(1)
  @Max(1_000)
  idempotencyKeyLength = 255;

  /** Largest stored answer; of a larger one only status and headers are kept. */
  @IsInt()
  @Min(1)
  idempotencyAnswerBytes = 1_048_576;

  /** Requests with an Idempotency-Key that one process runs at once: each is renewed on a timer. */
  @IsInt()
  @Min(1)
  idempotencyRunning = 1_000;

  /** Rows deleted by one statement of the purge: short enough not to hold anybody up. */
  @IsInt()
  @Min(1)
  idempotencyPurgeBatch = 1_000;

  /** Statements of one purge; what is left waits for the next. */
  @IsInt()
  @Min(1)
  idempotencyPurgeRounds = 20;

  /** How often the purge runs. */
  @IsInt()
  @Min(1_000)
  idempotencyPurgeMs = 10 * 60_000;
}
