import { execFileSync } from 'node:child_process';
import { link, mkdir, mkdtemp, open, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspectOnnx } from './inspect-onnx';
import { inspectOnnxFile } from './inspect-onnx-file';
import type { OnnxLimits } from './onnx-limits';
import { delimited, encodeMessage, varint } from './wire/encode-message';
import { limitsWith, rejectionFaults } from './testing/faults-of';
import { externalDataModel } from './testing/hostile-models';
import { encodeModel, externalTensor, graph, node, tensor, value } from './testing/model-parts';
import { classifierModel, identityModel } from './testing/models';

describe('inspectOnnxFile', () => {
  let folder: string;
  let file: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sibyl-onnx-'));
    file = join(folder, 'model.onnx');
  });

  afterEach(async () => {
    await rm(folder, { recursive: true });
  });

  async function refuse(limits?: Partial<OnnxLimits>): Promise<ReturnType<typeof rejectionFaults>> {
    return inspectOnnxFile(file, limits === undefined ? undefined : limitsWith(limits)).then(
      () => Promise.reject(new Error('expected a refusal')),
      (error: unknown) => rejectionFaults(error),
    );
  }

  it('gives what inspectOnnx gives', async () => {
    const bytes = classifierModel({ weights: [[1], [2]], bias: [0, 0] });
    await writeFile(file, bytes);
    expect(await inspectOnnxFile(file)).toEqual(inspectOnnx(bytes));
  });

  it('moves its window over files that are larger, and over names that lie across its edge', async () => {
    const names = Array.from({ length: 4_000 }, (_, index) => `/a/module/path/of/some/length/${index}`);
    const bytes = encodeModel({
      nodes: names.map((name, index) => node(`Op${index % 7}`, [name, 'x'], [`${name}/out`])),
      initializers: [tensor('w', 'UINT8', [200_000], Buffer.alloc(200_000)), tensor('v', 'INT64', [2], [1, 2])],
      outputs: [value('y', 'FP32')],
      metadata: { long: 'm'.repeat(65_000), after: 'end' },
    });
    await writeFile(file, bytes);
    const model = await inspectOnnxFile(file);
    expect(model).toEqual(inspectOnnx(bytes));
    expect(model.metadata.long).toHaveLength(65_000);
  });

  it('skips weights of gigabytes without reading them', async () => {
    const weightBytes = 5 * 2 ** 30;
    const rest = encodeMessage('GraphProto', graph({ outputs: [value('y', 'FP32', [1])] }));
    const head = encodeMessage('TensorProto', { name: 'w', dims: [weightBytes], data_type: 2 });
    const tensorHead = Buffer.concat([head, Buffer.from([0x4a]), varint(weightBytes)]);
    const tensorLength = tensorHead.length + weightBytes;
    const graphHead = Buffer.concat([Buffer.from([0x2a]), varint(tensorLength), tensorHead]);
    const before = Buffer.concat([
      encodeMessage('ModelProto', { ir_version: 8, opset_import: [{ version: 17 }] }),
      Buffer.from([0x3a]),
      varint(graphHead.length + weightBytes + rest.length),
      graphHead,
    ]);
    const handle = await open(file, 'w');
    await handle.write(before, 0, before.length, 0);
    await handle.write(rest, 0, rest.length, before.length + weightBytes);
    await handle.close();
    const limits = limitsWith({ fileBytes: 6 * 2 ** 30, tensorBytes: 6 * 2 ** 30 });
    const model = await inspectOnnxFile(file, limits);
    expect(model).toMatchObject({ initializerBytes: weightBytes, outputs: [{ name: 'y' }] });
    expect((await refuse())[0]).toMatchObject({ expected: 'at most 2147483647 bytes', hint: expect.any(String) });
  });

  it('refuses what is not there, is no file, or is a link', async () => {
    expect((await refuse())[0]?.received).toBe('no such file');
    await mkdir(file);
    expect((await refuse())[0]?.received).toBe('something that is not a regular file');
    await rm(file, { recursive: true });
    await writeFile(join(folder, 'real'), identityModel());
    await symlink('real', file);
    expect((await refuse())[0]?.received).toBe('a symbolic link');
  });

  it('refuses a pipe without waiting for a writer', async () => {
    execFileSync('/usr/bin/env', ['mkfifo', file]);
    expect((await refuse())[0]?.received).toBe('something that is not a regular file');
  });

  it('refuses an empty file, and one that is something else', async () => {
    await writeFile(file, '');
    expect((await refuse())[0]?.received).toBe('an empty file');
    await writeFile(file, 'PK\x03\x04');
    expect((await refuse())[0]?.received).toContain('ZIP');
    await writeFile(file, delimited(7, Buffer.from([0x0a])));
    expect((await refuse())[0]?.received).toContain('cut off');
  });

  it('says nothing of the path', async () => {
    const error: unknown = await inspectOnnxFile(file).catch((each: unknown) => each);
    expect(JSON.stringify({ faults: rejectionFaults(error), detail: String(error) })).not.toContain(folder);
  });

  describe('with external data', () => {
    const problem = async (): Promise<string | undefined> => (await refuse())[0]?.received;
    let data: string;

    beforeEach(async () => {
      data = join(folder, 'w.bin');
      await writeFile(file, externalDataModel({ location: 'w.bin', offset: '8' }));
    });

    it('accepts a regular file that is large enough', async () => {
      await writeFile(data, Buffer.alloc(16));
      expect((await inspectOnnxFile(file)).externalFiles).toEqual(['w.bin']);
    });

    it('refuses a file that is missing or too short', async () => {
      expect(await problem()).toBe('"w.bin": no such file');
      await writeFile(data, Buffer.alloc(15));
      expect(await problem()).toBe('"w.bin": 15 bytes where the model reads up to byte 16');
    });

    it('refuses symbolic links, hard links, folders and pipes', async () => {
      await writeFile(join(folder, 'real'), Buffer.alloc(16));
      await symlink('real', data);
      expect(await problem()).toBe('"w.bin": a symbolic link');
      await rm(data);
      await link(join(folder, 'real'), data);
      expect(await problem()).toBe('"w.bin": a hard link');
      await rm(data);
      await mkdir(data);
      expect(await problem()).toBe('"w.bin": not a regular file');
      await rm(data, { recursive: true });
      execFileSync('/usr/bin/env', ['mkfifo', data]);
      expect(await problem()).toBe('"w.bin": not a regular file');
    });

    it('refuses it together with every other reason', async () => {
      const initializers = [externalTensor('w', 'FP32', [1], { location: 'gone.bin' })];
      const nodes = [node('Evil', [], ['y'], { domain: 'evil' })];
      await writeFile(file, encodeModel({ irVersion: 0, nodes, initializers, outputs: [value('y', 'FP32')] }));
      expect(await refuse()).toHaveLength(3);
    });
  });
});
