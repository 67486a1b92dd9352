import { Injectable, ServiceUnavailableException } from '@nestjs/common';
import {
  HealthCheckService,
  HealthIndicatorService,
  type HealthCheckResult,
  type HealthIndicatorResult,
} from '@nestjs/terminus';
import { AuditTrail } from '@sibyl/audit';
import { Database } from '@sibyl/database';
import type { ErrorCode } from '@sibyl/kernel';
import { Drain } from '../http/drain';
import { ExtendedProblem } from '../http/problem';
import { Serving } from '../models/serving';

/** What can keep the server from being ready, in the order in which a caller should hear of it. */
const CODES: Readonly<Record<string, ErrorCode>> = {
  lifecycle: 'shutting_down',
  audit: 'audit_unavailable',
  models: 'model_not_ready',
};

/** Whether this process should get traffic: preloaded models serve, the audit log can be written, and nobody is stopping it. */
@Injectable()
export class Readiness {
  constructor(
    private readonly checks: HealthCheckService,
    private readonly indicators: HealthIndicatorService,
    private readonly serving: Serving,
    private readonly trail: AuditTrail,
    private readonly drain: Drain,
  ) {}

  /** Every check with its result, without a verdict. */
  async report(database?: Pick<Database, 'status'>): Promise<HealthCheckResult> {
    try {
      return await this.checks.check([
        () => this.lifecycleCheck(),
        () => this.auditCheck(),
        () => this.modelsCheck(),
        ...(database === undefined ? [] : [() => this.databaseCheck(database)]),
      ]);
    } catch (error) {
      // Terminus throws where a check is down; the result is in its exception.
      if (error instanceof ServiceUnavailableException) return error.getResponse() as HealthCheckResult;
      throw error;
    }
  }

  /** Resolves when ready; throws the 503 with all reasons otherwise. */
  async require(): Promise<void> {
    const { details } = await this.report();
    const down = Object.keys(CODES).filter((name) => details[name]?.status === 'down');
    const reasons = down.flatMap((name) => (details[name] as { reasons?: readonly string[] }).reasons ?? []);
    const code = down[0] === undefined ? undefined : CODES[down[0]];
    if (code !== undefined) throw new ExtendedProblem(code, reasons.join(' '), { ready: false, reasons });
  }

  private lifecycleCheck(): HealthIndicatorResult {
    const check = this.indicators.check('lifecycle');
    return this.drain.closing ? check.down({ reasons: ['The server is shutting down.'] }) : check.up();
  }

  private auditCheck(): HealthIndicatorResult {
    const check = this.indicators.check('audit');
    return this.trail.writable() ? check.up() : check.down({ reasons: ['The audit log cannot be written.'] });
  }

  private modelsCheck(): HealthIndicatorResult {
    const check = this.indicators.check('models');
    const { ready, reasons } = this.serving.readiness();
    return ready ? check.up() : check.down({ reasons: [...reasons] });
  }

  // Predictions go on without the database, so that its absence is no reason to send traffic elsewhere.
  private databaseCheck(database: Pick<Database, 'status'>): HealthIndicatorResult {
    const check = this.indicators.check('database');
    return database.status().up ? check.up() : check.degraded({ reasons: ['The database cannot be reached.'] });
  }
}
