import { Injectable } from '@nestjs/common';
import os from 'node:os';
import { AuditTrail } from '@sibyl/audit';
import { Database } from '@sibyl/database';
import { ModelRuntime } from '@sibyl/inference';
import { Serving } from '../models/serving';
import { Readiness } from './readiness';
import { snakeCase } from './snake-case';

/** What operators see of the machine and of the parts of the server. */
@Injectable()
export class SystemReport {
  constructor(
    private readonly readiness: Readiness,
    private readonly database: Database,
    private readonly trail: AuditTrail,
    private readonly serving: Serving,
    private readonly runtime: ModelRuntime,
  ) {}

  async detailed(): Promise<Record<string, unknown>> {
    const { status, details } = await this.readiness.report(this.database);
    return {
      status,
      live: true,
      ready: !Object.entries(details).some(([, detail]) => detail.status === 'down'),
      checks: details,
      database: withoutErrors(this.database.status()),
      audit: withoutErrors(this.trail.status()),
      runtime: snakeCase(this.runtime.status()),
      models: this.serving.statuses().map((status_) => snakeCase(status_)),
      system: this.system(),
    };
  }

  system(): Record<string, unknown> {
    const { rss, heapUsed, heapTotal, external } = process.memoryUsage();
    const { user, system } = process.cpuUsage();
    return {
      uptime_seconds: Math.round(process.uptime()),
      process: {
        pid: process.pid,
        node: process.version,
        rss_bytes: rss,
        heap_used_bytes: heapUsed,
        heap_total_bytes: heapTotal,
        external_bytes: external,
        cpu_user_seconds: user / 1e6,
        cpu_system_seconds: system / 1e6,
      },
      machine: {
        platform: `${os.platform()} ${os.arch()}`,
        cpus: os.availableParallelism(),
        load_average: os.loadavg(),
        memory_bytes: os.totalmem(),
        free_memory_bytes: os.freemem(),
      },
    };
  }
}

/** Statuses of libraries carry error objects for the log; operators get their absence or presence from the checks. */
function withoutErrors(status: object): unknown {
  return snakeCase(Object.fromEntries(Object.entries(status).filter(([name]) => !/error$/i.test(name))));
}
