import { selectProviders } from './select-providers';

describe('selectProviders', () => {
  const plain = { providers: ['cpu'], gpus: 0 };
  const gpu = { providers: ['cpu', 'cuda', 'tensorrt'], gpus: 1 };

  it.each([
    ['cpu_only', plain, ['cpu']],
    ['gpu_preferred', plain, ['cpu']],
    ['cpu_only', gpu, ['cpu']],
    ['gpu_preferred', gpu, ['tensorrt', 'cuda', 'cpu']],
    ['gpu_required', gpu, ['tensorrt', 'cuda']],
    ['gpu_preferred', { providers: ['cpu', 'openvino'], gpus: 0 }, ['openvino', 'cpu']],
    ['gpu_preferred', { ...gpu, gpus: 0 }, ['cpu']],
    // In every npm package, and no choice of a policy.
    ['gpu_preferred', { providers: ['webgpu', 'cpu'], gpus: 1 }, ['cpu']],
  ] as const)('%s on %j tries %j', (policy, machine, expected) => {
    expect(selectProviders(policy, machine)).toEqual(expected);
  });

  it.each([plain, { ...gpu, gpus: 0 }, { providers: ['cpu', 'webgpu'], gpus: 2 }])(
    'gpu_required on %j is execution_provider_unavailable, never the CPU',
    (machine) => {
      expect(() => selectProviders('gpu_required', machine)).toThrow(
        expect.objectContaining({ code: 'execution_provider_unavailable' }),
      );
    },
  );
});
