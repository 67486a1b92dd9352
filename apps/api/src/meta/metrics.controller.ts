import { Controller, Get, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { PrometheusController } from '@willsoto/nestjs-prometheus';
import { Metrics } from '@sibyl/telemetry';
import type { Response } from 'express';
import { Siblings } from '../workers/siblings';
import { Endpoint } from '../http/endpoint.decorator';

/** The module's own controller serves the global registry to everybody; this one serves ours to keys with ops:read. */
@ApiTags('Server')
@Controller('metrics')
export class MetricsController extends PrometheusController {
  constructor(
    private readonly metrics: Metrics,
    private readonly siblings: Siblings,
  ) {
    super();
  }

  @Get()
  @Endpoint({
    summary: 'Metrics in the format of Prometheus',
    description: 'Of all workers together. Scrapers send their key as a bearer token.',
    access: 'ops:read',
    action: 'metrics.read',
    answer: { mediaType: 'text/plain' },
  })
  override async index(@Res({ passthrough: true }) response: Response): Promise<string> {
    const { registry } = this.metrics;
    response.set('Content-Type', registry.contentType);
    return (await this.siblings.scrape()) ?? registry.metrics();
  }
}
