import { installedProviders } from './execution-providers';

describe('installedProviders', () => {
  const names = (platform: string, ...files: string[]): string[] =>
    installedProviders(platform, (file) => files.includes(file)).map(({ name }) => name);
  const CUDA = 'libonnxruntime_providers_cuda.so';
  const TENSORRT = 'libonnxruntime_providers_tensorrt.so';

  it('are what the npm package brings, where nothing was added', () => {
    expect(names('linux/x64')).toEqual(['webgpu', 'cpu']);
  });

  it('are those whose library lies beside the runtime too, best first', () => {
    expect(names('linux/x64', CUDA)).toEqual(['cuda', 'webgpu', 'cpu']);
    expect(names('linux/x64', CUDA, TENSORRT)).toEqual(['tensorrt', 'cuda', 'webgpu', 'cpu']);
  });

  it('are none that the platform has no build of, whatever lies there', () => {
    expect(names('linux/arm64', CUDA, TENSORRT)).toEqual(['webgpu', 'cpu']);
    expect(names('linux/x64', 'libonnxruntime_providers_openvino.so')).not.toContain('openvino');
    expect(names('sunos/x64')).toEqual([]);
  });
});
