import { HealthCheckService, HealthIndicatorService, TerminusModule } from '@nestjs/terminus';
import { Test } from '@nestjs/testing';
import type { AuditTrail } from '@sibyl/audit';
import type { Database } from '@sibyl/database';
import type { ModelRuntime } from '@sibyl/inference';
import { Drain } from '../http/drain';
import { problemOf } from '../http/problem';
import type { Serving } from '../models/serving';
import { Readiness } from './readiness';
import { SystemReport } from './system-report';

describe('readiness', () => {
  let writable: boolean;
  let reasons: string[];
  let databaseUp: boolean;
  let drain: Drain;
  let readiness: Readiness;
  let report: SystemReport;

  beforeEach(async () => {
    writable = databaseUp = true;
    reasons = [];
    drain = new Drain();
    const module = await Test.createTestingModule({ imports: [TerminusModule.forRoot({ logger: false })] }).compile();
    const serving = {
      readiness: () => ({ ready: reasons.length === 0, reasons }),
      statuses: () => [{ model: 'm', version: '1', memoryBytes: 5, reason: undefined }],
    } as unknown as Serving;
    const trail = {
      writable: () => writable,
      status: () => ({ backlogEvents: 2, writeError: '/var/spool: no space' }),
    } as unknown as AuditTrail;
    const database = { status: () => ({ up: databaseUp, lastError: new Error('/run/pg') }) } as unknown as Database;
    const runtime = {
      status: () => ({ platform: 'onnx', providers: ['cpu'], queueDepth: 0 }),
    } as unknown as ModelRuntime;
    readiness = new Readiness(
      module.get(HealthCheckService),
      module.get(HealthIndicatorService),
      serving,
      trail,
      drain,
    );
    report = new SystemReport(readiness, database, trail, serving, runtime);
  });

  async function refused(): Promise<{ status: number; body: Record<string, unknown> }> {
    const error: unknown = await readiness.require().then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    const { status, body } = problemOf(error, { requestId: 'r', instance: '/ready' });
    return { status, body: JSON.parse(body) as Record<string, unknown> };
  }

  it('holds when models serve, the audit log can be written and nobody stops the server', async () => {
    await expect(readiness.require()).resolves.toBeUndefined();
  });

  it('is refused with every reason at once', async () => {
    writable = false;
    reasons = ['momentum 1.2.3 is loading'];
    const { status, body } = await refused();
    expect(status).toBe(503);
    expect(body).toMatchObject({
      code: 'audit_unavailable',
      ready: false,
      reasons: ['The audit log cannot be written.', 'momentum 1.2.3 is loading'],
      retry_after: 1,
    });
  });

  it('ends as soon as the server drains', async () => {
    drain.state = 'draining';
    expect((await refused()).body).toMatchObject({ code: 'shutting_down', ready: false });
  });

  it('waits for models', async () => {
    reasons = ['the registry has not been read yet'];
    expect((await refused()).body).toMatchObject({ code: 'model_not_ready', reasons });
  });

  it('does not depend on the database, whose absence the report shows', async () => {
    databaseUp = false;
    await expect(readiness.require()).resolves.toBeUndefined();
    await expect(report.detailed()).resolves.toMatchObject({
      status: 'degraded',
      ready: true,
      checks: { database: { status: 'degraded' } },
    });
  });

  it('is part of the report, which holds no error texts of the inside', async () => {
    const text = JSON.stringify(await report.detailed());
    expect(text).not.toMatch(/no space|run\/pg|_error/);
    expect(JSON.parse(text)).toMatchObject({
      ready: true,
      audit: { backlog_events: 2 },
      models: [{ memory_bytes: 5 }],
      runtime: { queue_depth: 0 },
    });
    writable = false;
    await expect(report.detailed()).resolves.toMatchObject({ ready: false });
  });
});
