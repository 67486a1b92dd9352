import { DomainError } from '@sibyl/kernel';
import { EXECUTION_PROVIDERS, executionProvider } from '@sibyl/protocol';
import type { DevicePolicy } from './model-runtime';

/** What a machine offers: execution providers whose libraries are installed, and how many GPUs are visible. */
export interface Machine {
  readonly providers: readonly string[];
  readonly gpus: number;
  /** Version of the runtime. */
  readonly runtime: string;
}

const DEVICES: Record<DevicePolicy, readonly string[]> = {
  gpu_required: ['gpu'],
  gpu_preferred: ['gpu', 'cpu'],
  cpu_only: ['cpu'],
};

/** Those of a machine that a policy may choose, if it finds the device. */
export function chosenProviders({ providers }: Pick<Machine, 'providers'>): string[] {
  return EXECUTION_PROVIDERS.filter(
    ({ name, onlyCompared }) => onlyCompared === undefined && providers.includes(name),
  ).map(({ name }) => name);
}

/** The providers that a policy allows and the machine offers, best first. */
export function usableProviders(policy: DevicePolicy, machine: Pick<Machine, 'providers' | 'gpus'>): string[] {
  return chosenProviders(machine).filter((name) => {
    const device = executionProvider(name)?.device ?? 'cpu';
    return DEVICES[policy].includes(device) && (device === 'cpu' || machine.gpus > 0);
  });
}

/**
 * The providers to try, in order. With `gpu_required` the CPU is not among them, so that a session which cannot be made
 * on the GPU fails instead of landing elsewhere.
 */
export function selectProviders(policy: DevicePolicy, machine: Pick<Machine, 'providers' | 'gpus'>): string[] {
  const usable = usableProviders(policy, machine);
  if (usable.length > 0) return usable;
  throw new DomainError('execution_provider_unavailable', 'The model requires a GPU, and this machine offers none.', {
    cause: new Error(`policy ${policy}, providers ${machine.providers.join(', ')}, GPUs ${machine.gpus}`),
  });
}
