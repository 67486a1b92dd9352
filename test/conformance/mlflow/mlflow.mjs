// node test/conformance/mlflow/mlflow.mjs: imports by every form of URI from real MLflow servers of two generations, one with
// artifacts behind the server and one with artifacts in a folder that only the server can read. Made by setup.sh.
import fs from 'node:fs';
import path from 'node:path';
import { freePort, REPOSITORY, startServer } from '../../support/server.mjs';
import { Checks, needed, run, startPeer, temporaryFolder } from '../peer.mjs';

const PLACE = path.join(REPOSITORY, '.conformance/mlflow');
const PYTHONS = ['v2', 'v3'].map((major) =>
  needed(path.join(PLACE, major, 'bin/mlflow'), 'sh test/conformance/mlflow/setup.sh'),
);
const MODEL = path.join(REPOSITORY, 'examples/models/momentum-1.2.3/model.onnx');
const QUIET = { MLFLOW_DISABLE_TELEMETRY: 'true', DO_NOT_TRACK: 'true', GIT_PYTHON_REFRESH: 'quiet' };

const checks = new Checks();

async function startMlflow(program, folder, artifacts) {
  const port = await freePort();
  fs.mkdirSync(path.join(folder, 'artifacts'), { recursive: true });
  const store = ['--backend-store-uri', `sqlite:///${folder}/mlflow.db`];
  const args = [
    'server',
    '--host',
    '127.0.0.1',
    '--port',
    String(port),
    '--workers',
    '1',
    ...store,
    ...artifacts(folder),
  ];
  const env = { ...QUIET, PATH: `${path.dirname(program)}:${process.env.PATH}` };
  const peer = await startPeer(program, args, { port, env, cwd: folder });
  return { ...peer, url: `http://127.0.0.1:${port}` };
}

/** Every form of URI, of one server. */
async function play(title, program, artifacts) {
  const folder = temporaryFolder('mlflow');
  const mlflow = await startMlflow(program, folder, artifacts);
  let server;
  try {
    const python = path.join(path.dirname(program), 'python');
    const script = path.join(REPOSITORY, 'test/conformance/mlflow/log_models.py');
    const printed = await run(python, [script, mlflow.url, MODEL, 'churn'], { cwd: folder, env: QUIET });
    const logged = JSON.parse(printed.trim().split('\n').at(-1));
    console.log(`--- ${title}: MLflow ${logged.mlflow}`);
    const [first, second] = logged.versions;
    server = await startServer({ env: { MLFLOW_TRACKING_URI: mlflow.url, SIBYL_MODELS: 'models:/churn/1' } });
    const started = await server.call('GET', '/v1/models/churn/versions/1');
    checks.check(
      'SIBYL_MODELS takes name and version from MLflow',
      started.status === 200,
      JSON.stringify(started.body),
    );
    checks.check(
      'the source has its run',
      started.body.source?.run_id === first.run,
      JSON.stringify(started.body.source),
    );
    const forms = [
      ['models:/churn/1', '1'],
      ['models:/churn/3', '3'],
      ['models:/churn@champion', '2'],
      ['models:/churn/Production', '2'],
      ['models:/churn/staging', '1'],
      ['models:/churn/latest', '3'],
    ];
    for (const [uri, version] of forms) {
      const name = `m${forms.findIndex(([form]) => form === uri)}`;
      const body = await checks.imports(server, name, { source_uri: uri }, 201, uri);
      checks.check(
        `  is version ${version}`,
        body.version === version && body.source?.resolved_uri === `models:/churn/${version}`,
        JSON.stringify(body.source),
      );
    }
    await checks.imports(
      server,
      'byrun',
      { source_uri: `runs:/${second.run}/model`, version: 'r1' },
      201,
      'runs:/…/model',
    );
    if (second.logged)
      await checks.imports(
        server,
        'logged',
        { source_uri: `models:/${second.logged}`, version: 'l1' },
        201,
        'models:/m-…',
      );
    const load = { model_id: 'loaded', version: '2', registry_uri: 'models:/churn/2' };
    const answer = await server.call('POST', '/v1/models/load', { body: load, timeoutMs: 60_000 });
    checks.check('POST /v1/models/load with registry_uri', answer.status === 200, JSON.stringify(answer.body));
    for (const uri of [
      'models:/nothing/1',
      'models:/churn/9',
      'models:/churn@nobody',
      'models:/churn/Archived',
      `runs:/${first.run}/other`,
      'runs:/0000/model',
    ])
      await checks.imports(
        server,
        'x',
        { source_uri: uri, version: 'x' },
        400,
        `${uri.replace(first.run, '…')} is refused`,
      );
    await mlflow.stop();
    await checks.imports(server, 'x', { source_uri: 'models:/churn/1' }, 503, 'a server that is down is 503');
    const left = fs.readdirSync(path.join(server.dataDir, 'artifacts/uploads'));
    checks.check('nothing is left of what failed', left.length === 0, left.join());
  } finally {
    await server?.stop();
    await mlflow.stop();
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

const proxied = (folder) => ['--serve-artifacts', '--artifacts-destination', path.join(folder, 'artifacts')];
const direct = (folder) => ['--no-serve-artifacts', '--default-artifact-root', path.join(folder, 'artifacts')];
for (const program of PYTHONS) await play('artifacts behind the server', program, proxied);
for (const program of PYTHONS) await play('artifacts in a folder of the server', program, direct);
checks.finish();
