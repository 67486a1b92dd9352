// Feast's own server on this machine, for comparison: Redis, twenty stored numbers an entity, one worker.
import fs from 'node:fs';
import path from 'node:path';
import { freePort } from '../support/server.mjs';
import { run, startPeer, temporaryFolder } from '../conformance/peer.mjs';
import { FEAST } from '../conformance/feast/place.mjs';
import { NAMES } from './features-stand.mjs';

/** Undefined where `sh test/conformance/feast/setup.sh` has not been run. */
export async function startFeast(entities) {
  if (!fs.existsSync(path.join(FEAST, 'bin/feast'))) return undefined;
  const folder = temporaryFolder('feast');
  const [redis, http] = [await freePort(), await freePort()];
  const store = await startPeer('redis-server', ['--port', `${redis}`, '--save', '', '--bind', '127.0.0.1'], {
    port: redis,
    cwd: folder,
  });
  const script = path.join(import.meta.dirname, '../conformance/feast/bench_repo.py');
  const env = { FEAST_USAGE: 'False' };
  await run(path.join(FEAST, 'bin/python'), [script, folder, `${redis}`, NAMES.join(), entities.join()], {
    cwd: folder,
    env,
  });
  const server = await startPeer(
    path.join(FEAST, 'bin/feast'),
    ['serve', '-p', `${http}`, '--no-access-log', '--max-requests', '1000000'],
    {
      port: http,
      cwd: folder,
      env,
    },
  );
  return {
    url: `http://127.0.0.1:${http}`,
    pid: server.child.pid,
    async stop() {
      await server.stop();
      await store.stop();
      fs.rmSync(folder, { recursive: true, force: true });
    },
  };
}
