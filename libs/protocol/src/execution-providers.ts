/** One way in which the runtime can compute: where there is a build of it, and what it needs. */
export interface ExecutionProvider {
  /** As onnxruntime-node takes it in `executionProviders`. */
  readonly name: string;
  /** As the runtime names it where it says what ran a node. */
  readonly runtimeName: string;
  readonly device: 'gpu' | 'cpu';
  /** `<process.platform>/<process.arch>` for which the npm package has a build of it, or installs one. */
  readonly platforms: readonly string[];
  /** What must lie beside the runtime's own library; absent where it is part of that. */
  readonly library?: string;
  /** What a session is given beside the name. */
  readonly options?: Readonly<Record<string, number>>;
  /** Never chosen by a policy: it is compared by `npm run check:gpu` only. */
  readonly onlyCompared?: true;
}

const EVERYWHERE = ['linux/x64', 'linux/arm64', 'darwin/arm64', 'win32/x64', 'win32/arm64'];

/** Best first. What onnxruntime-node 1.30 has; another version may have more. */
export const EXECUTION_PROVIDERS: readonly ExecutionProvider[] = [
  {
    name: 'tensorrt',
    runtimeName: 'TensorrtExecutionProvider',
    device: 'gpu',
    platforms: ['linux/x64'],
    library: 'libonnxruntime_providers_tensorrt.so',
    options: { deviceId: 0 },
  },
  {
    name: 'cuda',
    runtimeName: 'CUDAExecutionProvider',
    device: 'gpu',
    platforms: ['linux/x64'],
    library: 'libonnxruntime_providers_cuda.so',
    options: { deviceId: 0 },
  },
  // In the package, over Vulkan, Metal or Direct3D. It takes single nodes out of a graph whose rest stays on the CPU, and
  // software drivers offer it on machines without a GPU.
  {
    name: 'webgpu',
    runtimeName: 'WebGpuExecutionProvider',
    device: 'gpu',
    platforms: EVERYWHERE,
    onlyCompared: true,
  },
  // No build of the package knows it: the binding answers "unsupported". A build of one's own may.
  { name: 'openvino', runtimeName: 'OpenVINOExecutionProvider', device: 'cpu', platforms: [] },
  { name: 'cpu', runtimeName: 'CPUExecutionProvider', device: 'cpu', platforms: EVERYWHERE },
];

export function executionProvider(name: string): ExecutionProvider | undefined {
  return EXECUTION_PROVIDERS.find((provider) => provider.name === name);
}

/** Those of a platform whose library is there, if they need one. */
export function installedProviders(platform: string, hasLibrary: (file: string) => boolean): ExecutionProvider[] {
  return EXECUTION_PROVIDERS.filter(
    ({ platforms, library }) => platforms.includes(platform) && (library === undefined || hasLibrary(library)),
  );
}
