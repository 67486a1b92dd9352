import { Controller, Get } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { Endpoint } from '../http/endpoint.decorator';
import { Serving } from '../models/serving';
import { Siblings } from '../workers/siblings';
import { GpuReport } from './gpu-report';
import { Readiness } from './readiness';
import { SystemReport } from './system-report';

@ApiTags('Health')
@Controller()
export class HealthController {
  constructor(
    private readonly readiness: Readiness,
    private readonly report: SystemReport,
    private readonly gpus: GpuReport,
    private readonly serving: Serving,
    private readonly siblings: Siblings,
  ) {}

  @Get(['health', 'health/live'])
  @Endpoint({
    summary: 'Say that the process lives',
    access: 'public',
    action: 'health.live',
    answer: 'Live',
    example: { live: true, status: 'ok', uptime_seconds: 12 },
  })
  live(): Record<string, unknown> {
    return { live: true, status: 'ok', uptime_seconds: Math.round(process.uptime()) };
  }

  @Get(['ready', 'health/ready'])
  @Endpoint({
    summary: 'Say whether this server should get traffic',
    description:
      '200 once the preloaded models serve and the audit log can be written; 503 with the reasons otherwise and while shutting down.',
    access: 'public',
    action: 'health.ready',
    answer: 'Ready',
    errors: ['model_not_ready', 'audit_unavailable', 'shutting_down'],
    example: { ready: true, status: 'ok' },
  })
  async ready(): Promise<Record<string, unknown>> {
    await this.readiness.require();
    return { ready: true, status: 'ok' };
  }

  @Get('health/model')
  @Endpoint({
    summary: 'List the served models and whether they are ready',
    access: 'public',
    action: 'health.model',
    answer: 'ServedModels',
  })
  models(): Record<string, unknown> {
    return { models: this.serving.models().map(({ name, ready }) => ({ name, ready })) };
  }

  @Get('health/detailed')
  @Endpoint({
    summary: 'Show every check and part of the server',
    access: 'ops:read',
    action: 'health.detailed',
    answer: 'HealthReport',
  })
  async detailed(): Promise<Record<string, unknown>> {
    return { ...(await this.report.detailed()), worker: this.worker() };
  }

  @Get('health/system')
  @Endpoint({
    summary: 'Show process and machine',
    access: 'ops:read',
    action: 'health.system',
    answer: 'HealthReport',
  })
  system(): Record<string, unknown> {
    return { ...this.report.system(), worker: this.worker() };
  }

  @Get('health/gpu')
  @Endpoint({
    summary: 'Show the GPUs of this machine and where models really run',
    access: 'ops:read',
    action: 'health.gpu',
    answer: 'HealthReport',
  })
  gpu(): Promise<Record<string, unknown>> {
    return this.gpus.show();
  }

  /** Which of the processes that share the port has answered. */
  private worker(): Record<string, unknown> {
    const { index, count } = this.siblings;
    return { index, count };
  }
}
