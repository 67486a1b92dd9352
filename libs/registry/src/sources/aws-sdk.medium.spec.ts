import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';

const ROOT = path.resolve(__dirname, '../../../..');

/** How many files of the SDK a process has loaded that runs this. */
async function filesOfSdk(code: string): Promise<number> {
  const script = `require('reflect-metadata');
    require('./test/support/load-typescript.cjs');
    ${code}
    console.log(Object.keys(require.cache).filter((name) => name.includes('@aws-sdk')).length)`;
  return Number((await promisify(execFile)(process.execPath, ['-e', script], { cwd: ROOT })).stdout);
}

describe('the AWS SDK', () => {
  it('is not loaded with the registry', async () => {
    expect(await filesOfSdk("require('@sibyl/registry');")).toBe(0);
  });

  it('is loaded with the first client', async () => {
    const code = "require('./libs/registry/src/sources/s3-source').s3Client({}, '');";
    expect(await filesOfSdk(code)).toBeGreaterThan(0);
  });
});
