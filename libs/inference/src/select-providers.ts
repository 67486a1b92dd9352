import { DomainError } from '@sibyl/kernel';
import type { DevicePolicy } from './model-runtime';

/** What a machine offers: execution providers whose libraries are installed, and how many GPUs are visible. */
export interface Machine {
  readonly providers: readonly string[];
  readonly gpus: number;
  /** Version of the runtime. */
  readonly runtime: string;
}

interface ProviderRow {
  readonly name: string;
  readonly device: 'gpu' | 'cpu';
}

/** Best first. */
const PREFERENCE: readonly ProviderRow[] = [
  { name: 'tensorrt', device: 'gpu' },
  { name: 'cuda', device: 'gpu' },
  { name: 'openvino', device: 'cpu' },
  { name: 'cpu', device: 'cpu' },
];

const DEVICES: Record<DevicePolicy, readonly string[]> = {
  gpu_required: ['gpu'],
  gpu_preferred: ['gpu', 'cpu'],
  cpu_only: ['cpu'],
};

/**
 * The providers to try, in order. With `gpu_required` the CPU is not among them, so that a session which cannot be made
 * on the GPU fails instead of landing elsewhere.
 */
export function selectProviders(policy: DevicePolicy, machine: Pick<Machine, 'providers' | 'gpus'>): string[] {
  const usable = PREFERENCE.filter(
    (row) =>
      DEVICES[policy].includes(row.device) &&
      machine.providers.includes(row.name) &&
      (row.device === 'cpu' || machine.gpus > 0),
  );
  if (usable.length > 0) return usable.map((row) => row.name);
  throw new DomainError('execution_provider_unavailable', 'The model requires a GPU, and this machine offers none.', {
    cause: new Error(`policy ${policy}, providers ${machine.providers.join(', ')}, GPUs ${machine.gpus}`),
  });
}
