import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { identityModel } from '@sibyl/onnx/testing';
import { examplePackage, json, modelPackage, writePackage } from '../support/model-packages';
import { RecordedClient } from '../support/recorded-client';
import { REPOSITORY, startServer, type TestServer } from '../support/server.mjs';

const ONE_MODEL = path.join(REPOSITORY, 'examples/models/momentum-1.2.3');

/** A machine on which no model can run on a GPU, though the driver's tool tells of one. */
describe('where models run', () => {
  let server: TestServer;
  let client: RecordedClient;
  let folder: string;

  beforeAll(async () => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), 'sibyl-gpu-'));
    const line = '0, GPU-7f0e, NVIDIA H200, 37, 1024, 143771, [N/A], 118.52';
    fs.writeFileSync(path.join(folder, 'nvidia-smi'), `#!/bin/sh\necho '${line}'\n`, { mode: 0o755 });
    server = await startServer({ env: { SIBYL_MODELS: ONE_MODEL, PATH: `${folder}:${process.env['PATH']}` } });
    client = new RecordedClient(server, 'gpu');
  }, 90_000);
  afterAll(async () => {
    await server.stop();
    fs.rmSync(folder, { recursive: true });
  }, 30_000);

  it('is shown with the model, by what was asked for and what a run has shown', async () => {
    expect(await client.get('/models/momentum/info')).toMatchObject({
      status: 200,
      body: { provider: 'cpu', providers_asked: ['cpu'], provider_shares: { cpu: 1 } },
    });
  });

  it('is shown with the GPUs of the machine', async () => {
    const { status, body } = await client.get('/health/gpu');
    expect(status).toBe(200);
    expect(body).toMatchObject({
      gpus: [{ index: 0, uuid: 'GPU-7f0e', name: 'NVIDIA H200', utilization: 0.37, power_watts: 118.52 }],
      models: [{ name: 'momentum', version: '1.2.3', provider: 'cpu', provider_shares: { cpu: 1 } }],
    });
    expect(body.gpus[0]).not.toHaveProperty('temperature_celsius');
  });

  it('is measured', async () => {
    const { body } = await client.get('/metrics');
    for (const line of [
      'sibyl_model_provider_ratio{model="momentum",version="1.2.3",provider="cpu"} 1',
      'sibyl_gpu_utilization_ratio{gpu="0",uuid="GPU-7f0e"} 0.37',
      `sibyl_gpu_memory_used_bytes{gpu="0",uuid="GPU-7f0e"} ${1024 * 2 ** 20}`,
      'sibyl_gpu_power_watts{gpu="0",uuid="GPU-7f0e"} 118.52',
    ])
      expect(body).toContain(line);
    expect(body).not.toContain('sibyl_gpu_temperature_celsius{');
  });

  it('is never the CPU for a model that requires a GPU: 503, and its health says why', async () => {
    if ((await client.get('/health/gpu')).body.available) return;
    const manifest = { name: 'required', version: '1', runtime: { device_policy: 'gpu_required' } };
    expect((await client.upload('required', modelPackage(identityModel(), manifest))).status).toBe(201);
    const ask = () => client.post('/models/required/predict', { inputs: { x: [[1, 2, 3, 4]] } });
    for (const { status, body } of [await ask(), await ask()])
      expect([status, body.code]).toEqual([503, 'execution_provider_unavailable']);
    expect(await client.post('/v1/models/load', { model_id: 'required', version: '1' })).toMatchObject({
      status: 503,
      body: { code: 'execution_provider_unavailable' },
    });
    expect((await client.get('/models/required/health')).body).toMatchObject({
      ready: false,
      state: 'unavailable',
      reason: 'The model requires a GPU, and this machine offers none.',
    });
    expect((await client.post('/predict', { features: { price: 1, volume: 1, rsi: 1 } })).status).toBe(200);
  });

  it('in all of this each request has its event', async () => {
    expect(await client.unrecorded()).toEqual([]);
  });
});

describe('check:gpu', () => {
  let folder: string;
  beforeAll(() => (folder = fs.mkdtempSync(path.join(os.tmpdir(), 'sibyl-check-'))));
  afterAll(() => fs.rmSync(folder, { recursive: true }));

  const check = (...packages: string[]) =>
    spawnSync(process.execPath, [path.join(REPOSITORY, 'scripts/check-gpu.mjs'), ...packages], {
      encoding: 'utf8',
      timeout: 100_000,
    });

  it('says plainly that there is no GPU, or compares with it', () => {
    const { status, stdout } = check(ONE_MODEL);
    expect(status).toBe(0);
    expect(stdout).toMatch(/momentum 1\.2\.3 +cpu .* 17 equal/);
    expect(stdout).toMatch(/There is no GPU here.*Looked for:|within their tolerance on the CPU, /s);
  }, 120_000);

  it('ends with 1 when answers differ, and says which', () => {
    const files = examplePackage('momentum-1.2.3', {});
    const golden = JSON.parse(String(files.get('golden.json'))) as {
      samples: { outputs: { probabilities: number[][] } }[];
    };
    golden.samples[3]!.outputs.probabilities[0]![1]! += 0.01;
    writePackage(folder, new Map([...files, ['golden.json', json(golden)]]));
    const { status, stdout } = check(folder);
    expect(status).toBe(1);
    expect(stdout).toMatch(/momentum 1\.2\.3 on cpu, sample 3, probabilities\[1\]: expected .*, got /);
  }, 120_000);

  it('ends with 1 where there is nothing to compare', () => {
    fs.rmSync(path.join(folder, 'golden.json'), { force: true });
    const { status, stderr } = check(folder);
    expect([status, stderr]).toEqual([1, expect.stringContaining('no golden samples')]);
  });
});
