// node test/conformance/feast/run.mjs: Feast's own client reads from a Sibyl through its remote online store, unchanged; and
// OpenLineage's own classes take what lineage says. Needs a built tree and `sh test/conformance/feast/setup.sh`.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { startServer } from '../../support/server.mjs';
import { Checks, run, temporaryFolder } from '../peer.mjs';
import { FEAST } from './place.mjs';

const python = path.join(FEAST, 'bin/python');
const now = Date.now();
const ago = (seconds) => new Date(now - seconds * 1000).toISOString();
const [PRESENT, NULL_VALUE, NOT_FOUND, OUTSIDE_MAX_AGE] = [1, 2, 3, 4];
const VIEW = {
  kind: 'FeatureView',
  name: 'drivers',
  entity: { name: 'driver_id', type: 'int' },
  streams: [{ name: 'trips', fields: { fare: 'double?', city: 'string?' }, allowed_lateness: '1h' }],
  features: [
    { name: 'fare', op: 'last', input: 'trips.fare', ttl: '30d' },
    { name: 'city', op: 'last', input: 'trips.city' },
    { name: 'twice', expr: 'fare * 2.0', dtype: 'double' },
  ],
};
const SET = {
  kind: 'FeatureSet',
  name: 'pricing',
  features: ['drivers:fare', 'drivers:city'],
  on_missing: 'null',
  on_stale: 'null',
};

const checks = new Checks();
const folder = temporaryFolder('feast');
const server = await startServer({ env: { SIBYL_MODELS: '' } });

async function put(kind, body) {
  const { status } = await server.call('PUT', `/v1/features/${kind}/${body.name}`, { body });
  if (status !== 200) throw new Error(`${body.name} was not published`);
}

/** In the columns of Feast's own push, with times as pandas writes them. */
async function push(driver, seconds, fare, city) {
  const df = { driver_id: [driver], event_timestamp: [ago(seconds).slice(0, -1)], fare: [fare], city: [city] };
  const { status } = await server.call('POST', '/push', { body: { push_source_name: 'trips', df, to: 'online' } });
  if (status !== 200) throw new Error(`a push was answered ${status}`);
}

try {
  await put('views', VIEW);
  await put('sets', SET);
  await push(1, 20, 10.5, 'Oslo');
  await push(2, 20, null, 'Bergen');
  await push(60, 60 * 86_400, 7, 'Oslo');
  await push(80, 10, 30, 'Oslo');
  await push(80, 20, 10, 'Oslo');
  const env = { SIBYL_KEY: server.adminKey, FEAST_USAGE: 'False' };
  const printed = await run(python, [path.join(import.meta.dirname, 'client.py'), folder, server.url], {
    cwd: folder,
    env,
  });
  const read = JSON.parse(printed.trim().split('\n').at(-1));
  const same = (what, found, expected) =>
    checks.check(what, JSON.stringify(found) === JSON.stringify(expected), JSON.stringify(found));
  same('one entity', read.one.values, { driver_id: [1], fare: [10.5], city: ['Oslo'] });
  same('values of several', read.many.values.fare, [10.5, null, null, 30, null]);
  same('their statuses: an old value, a late one, a null and an unknown entity each say so', read.many.statuses.fare, [
    PRESENT,
    NULL_VALUE,
    OUTSIDE_MAX_AGE,
    PRESENT,
    NOT_FOUND,
  ]);
  same('full names', Object.keys(read.full.values).sort(), ['driver_id', 'drivers__city', 'drivers__fare']);
  same('a feature service is a set', read.service.values.city, ['Oslo', 'Bergen']);
  same('its full names', read.service_full.values.drivers__fare, [10.5]);
  checks.check('an unknown feature is refused, with the reason', /drivers|nothing/.test(read.refused), read.refused);

  const { body } = await server.call('GET', '/v1/features/lineage?format=openlineage');
  const script = path.join(import.meta.dirname, 'openlineage_events.py');
  const { status, stdout, stderr } = spawnSync(python, [script], {
    input: JSON.stringify(body),
    encoding: 'utf8',
    timeout: 60_000,
  });
  checks.check("OpenLineage's classes take the events", status === 0, stderr.slice(-1000));
  if (status === 0) same('all of them, with every column', JSON.parse(stdout), { events: 2, columns: 5 });
} finally {
  await server.stop();
  fs.rmSync(folder, { recursive: true, force: true });
}
checks.finish();
