import { Module } from '@nestjs/common';
import { PrometheusModule } from '@willsoto/nestjs-prometheus';
import { Metrics } from '@sibyl/telemetry';
import { MetaController } from './meta.controller';
import { MetricsController } from './metrics.controller';

@Module({
  imports: [
    PrometheusModule.registerAsync({
      controller: MetricsController,
      inject: [Metrics],
      useFactory: (...[metrics]: unknown[]) => ({
        defaultMetrics: { enabled: true, config: { register: (metrics as Metrics).registry } },
      }),
    }),
  ],
  controllers: [MetaController],
})
export class MetaModule {}
