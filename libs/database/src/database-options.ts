import { IsBoolean, IsInt, IsOptional, IsString, Max, Min } from 'class-validator';

/** What an operator may set. Together the two timeouts of a call stay below the 2 s that callers are promised. */
export class DatabaseOptions {
  /** A PostgreSQL of the operator's; without one the embedded server is started. */
  @IsOptional()
  @IsString()
  url?: string;

  /** Another login for roles and migrations, so that the server's own login cannot become the owner. */
  @IsOptional()
  @IsString()
  ownerUrl?: string;

  /** Where the embedded server keeps its database. */
  @IsString()
  embeddedFolder = '.sibyl/postgres';

  /** Refuses to start where the application would run with the owner's rights; production sets it. */
  @IsBoolean()
  requireSeparateRoles = false;

  /** Admin calls and the audit shipper share these; each idle one costs PostgreSQL about 10 MB. */
  @IsInt()
  @Min(2)
  @Max(200)
  poolSize = 10;

  /** Reading the audit log is rare and must not use up the connections of the rest. */
  @IsInt()
  @Min(1)
  @Max(50)
  auditPoolSize = 2;

  /** Callers that wait for a connection; more of them are refused at once, because they would time out anyway. */
  @IsInt()
  @Min(1)
  @Max(10_000)
  waitingCallers = 64;

  /** Opening a connection takes 5 ms; a second covers a machine that is very busy. */
  @IsInt()
  @Min(50)
  @Max(60_000)
  connectTimeoutMs = 1000;

  /** PostgreSQL ends a statement after this time. */
  @IsInt()
  @Min(50)
  @Max(60_000)
  statementTimeoutMs = 1500;

  /** How much longer than PostgreSQL's own limit we wait before we take it for frozen. */
  @IsInt()
  @Min(10)
  @Max(10_000)
  silenceMs = 250;

  /** An idle connection is closed after this time, which gives its memory back. */
  @IsInt()
  @Min(100)
  @Max(3_600_000)
  idleConnectionMs = 10_000;

  /** How often a silent server is noticed while nobody calls it. */
  @IsInt()
  @Min(50)
  @Max(60_000)
  heartbeatMs = 1000;

  /** The pause between two attempts to reach a server that is down. */
  @IsInt()
  @Min(10)
  @Max(60_000)
  reconnectPauseMs = 250;

  /** At start the database may still be starting too, as in a compose file; longer, and the start fails. */
  @IsInt()
  @Min(0)
  @Max(600_000)
  startTimeoutMs = 20_000;

  /** One migration, or waiting for another process that migrates. */
  @IsInt()
  @Min(1000)
  @Max(3_600_000)
  migrationTimeoutMs = 120_000;
}
