import { appendFile, chmod, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { packageFolder } from './testing/package-folder';
import { ALICE, registryFixture, type RegistryFixture } from './testing/registry-fixture';

describe('reading stored packages again', () => {
  let fixture: RegistryFixture;
  let folder: string;
  const errors: object[] = [];
  const scrubber = () => {
    const log = { error: (fields: object) => void errors.push(fields), info: () => undefined };
    return fixture.registry.scrubber({ log, record: fixture.record });
  };
  const find = () => fixture.registry.find('linear', '1.0.0');
  const { signal } = new AbortController();

  beforeEach(async () => {
    errors.length = 0;
    fixture = await registryFixture({ scrubBytesPerSecond: 100_000_000 });
    const { version } = await fixture.registry.registerFolder(ALICE, await packageFolder(), {}, fixture.record);
    folder = await fixture.registry.artifactFolder(version.digest);
    fixture.changes.length = 0;
  });
  afterEach(() => fixture.end());

  const flip = async (): Promise<void> => {
    const file = path.join(folder, 'golden.json');
    await chmod(file, 0o600);
    await appendFile(file, ' ');
  };

  it('finds nothing where nothing is wrong, and says when it looked', async () => {
    expect((await find()).artifact).toBeUndefined();
    expect(await scrubber().checkNow(undefined, signal)).toMatchObject([{ intact: true, damaged: [] }]);
    expect((await find()).artifact).toMatchObject({ intact: true, checkedAt: expect.any(String) });
    expect([fixture.changes, errors]).toEqual([[], []]);
  });

  it('reports a flip once: log, event, state; and its mending', async () => {
    await flip();
    const reader = scrubber();
    for (let i = 0; i < 2; i++)
      expect(await reader.checkNow('linear', signal)).toMatchObject([{ intact: false, damaged: ['golden.json'] }]);
    expect((await find()).artifact?.intact).toBe(false);
    expect(reader.damaged).toBe(1);
    expect(errors[0]).toMatchObject({ model: 'linear', version: '1.0.0', damaged: 1 });
    const { digest } = await find();
    expect(fixture.changes).toEqual([
      expect.objectContaining({
        action: 'model.check',
        status: 500,
        model: { name: 'linear', version: '1.0.0', digest },
        changes: { intact: { from: true, to: false }, damaged: ['golden.json'] },
      }),
    ]);
    // The same bytes, sent again, mend the copy.
    await fixture.registry.registerFolder(ALICE, await packageFolder(), {}, fixture.record);
    expect(await scrubber().checkNow(undefined, signal)).toMatchObject([{ intact: true }]);
    expect(fixture.changes.at(-1)).toMatchObject({ changes: { intact: { from: false, to: true } } });
  });

  it.each([
    ['gone', (file: string) => rm(file)],
    ['empty', (file: string) => rm(file).then(() => writeFile(file, ''))],
  ])('finds a file that is %s', async (_, change) => {
    await change(path.join(folder, 'model.onnx'));
    expect(await scrubber().checkNow(undefined, signal)).toMatchObject([{ damaged: ['model.onnx'] }]);
  });

  it('does so in the background, each package once in its time', async () => {
    await flip();
    const running = scrubber();
    running.start();
    while ((await find()).artifact === undefined) await new Promise((resolve) => setTimeout(resolve, 10));
    expect((await find()).artifact?.intact).toBe(false);
    await running.stop();
  });

  it('reads nothing of what was deleted', async () => {
    const deletion = { model: 'linear', version: '1.0.0', reason: 'a test' };
    await fixture.registry.delete(ALICE, deletion, fixture.record);
    expect(await scrubber().checkNow(undefined, signal)).toEqual([]);
  });
});
