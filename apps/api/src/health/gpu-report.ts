import { Injectable } from '@nestjs/common';
import { GpuMeter, ModelRuntime } from '@sibyl/inference';
import { Serving } from '../models/serving';
import { snakeCase } from './snake-case';

/** What operators see of GPUs: those that are there, what could use them, and where each loaded version really runs. */
@Injectable()
export class GpuReport {
  constructor(
    private readonly runtime: ModelRuntime,
    private readonly serving: Serving,
    private readonly meter: GpuMeter,
  ) {}

  async show(): Promise<Record<string, unknown>> {
    const { providers, gpus, gpuProviders } = this.runtime.status();
    const loaded = this.serving.statuses().filter((status) => status.loaded);
    return {
      available: gpuProviders.length > 0,
      providers,
      gpu_providers: gpuProviders,
      visible_gpus: gpus,
      gpus: snakeCase(await this.meter.read()),
      models: loaded.map(({ model, version, provider, providersAsked, providerShares }) =>
        snakeCase({ name: model, version, provider, providersAsked, providerShares }),
      ),
    };
  }
}
