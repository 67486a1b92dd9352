import { DomainError } from '@sibyl/kernel';
import { executionProvider } from '@sibyl/protocol';
import type { DevicePolicy, Execution } from './model-runtime';

/** Whether only a run can tell what such a session got: the runtime gives the CPU what another provider cannot compute. */
export function needsProof(provider: string): boolean {
  return executionProvider(provider)?.device === 'gpu';
}

/** What a session got, by the provider that it was made with and the nodes that each provider computed. */
export function executionOf(
  asked: readonly string[],
  provider: string,
  nodes: Readonly<Record<string, number>> | undefined,
): Execution {
  if (nodes === undefined)
    return needsProof(provider) ? { asked, provider } : { asked, provider, shares: { [provider]: 1 } };
  const total = Object.values(nodes).reduce((sum, count) => sum + count, 0);
  const shares = Object.fromEntries(Object.entries(nodes).map(([name, count]) => [name, count / total]));
  return { asked, provider: asked.find((name) => name in nodes) ?? 'cpu', shares };
}

/** Throws where a model that requires a GPU does not run on one, or nothing shows that it does. */
export function requirePolicy(policy: DevicePolicy, { provider, shares }: Execution): void {
  if (policy !== 'gpu_required') return;
  if (shares === undefined)
    throw unavailable('The model requires a GPU, and no run could show that it uses one: golden samples would.');
  if (!needsProof(provider)) throw unavailable('The model requires a GPU, and all of it ran on the CPU.');
}

function unavailable(detail: string): DomainError {
  return new DomainError('execution_provider_unavailable', detail);
}
