import { Module } from '@nestjs/common';
import { TerminusModule } from '@nestjs/terminus';
import { GpuReport } from './gpu-report';
import { HealthController } from './health.controller';
import { Readiness } from './readiness';
import { SystemReport } from './system-report';

@Module({
  // Terminus would log every 503 of a health check by itself; the checks are looked at often enough without that.
  imports: [TerminusModule.forRoot({ logger: false })],
  controllers: [HealthController],
  providers: [Readiness, SystemReport, GpuReport],
})
export class HealthModule {}
