// The stand on which models are measured: the server with packages and a key, and the limit server beside it.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { REPOSITORY } from '../support/server.mjs';

/** Uploads a package as an operator would; one that is there already is as good. */
export async function upload(server, { name, folder }) {
  const form = new FormData();
  for (const file of fs.readdirSync(folder)) {
    form.append('file', new Blob([fs.readFileSync(path.join(folder, file))]), file);
  }
  const uploaded = await fetch(`${server.url}/v1/models/${name}/versions`, {
    method: 'POST',
    headers: { 'x-api-key': server.adminKey },
    body: form,
  });
  if (uploaded.status !== 201 && uploaded.status !== 200) {
    throw new Error(`the model was not taken: ${uploaded.status} ${await uploaded.text()}`);
  }
}

/** A key with a limit that is high enough never to refuse, so that only its cost is measured. */
export async function issueKey(server) {
  const limit = { requests: 1_000_000, seconds: 10 };
  const issued = await server.call('POST', '/v1/keys', { body: { name: 'bench', role: 'team', rate_limit: limit } });
  if (issued.status !== 201) throw new Error(`no key: ${issued.status} ${JSON.stringify(issued.body)}`);
  return issued.body.key;
}

/** The limit server with one model: `{port, pid, batchMax, stop}`. */
export async function startLimitServer({ modelFile, input, manifest }) {
  const spec = {
    modelFile,
    input: input.name,
    row: input.shape.slice(1),
    columns: input.columns ?? [],
    outputs: manifest.outputs.map((output) => output.name),
  };
  const child = fork(path.join(REPOSITORY, 'test/bench/limit-server.mjs'), [JSON.stringify(spec)]);
  const [{ port, batchMax }] = await once(child, 'message');
  return { port, batchMax, pid: child.pid, stop: () => child.disconnect() };
}

async function ask(port, { path: route, body }, headers) {
  const answer = await fetch(`http://127.0.0.1:${port}${route}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body,
  });
  if (answer.status !== 200) throw new Error(`${route}: ${answer.status} ${await answer.text()}`);
  return answer.json();
}

const close = (a, b) => Math.abs(a - b) <= 1e-4 * Math.max(1, Math.abs(b));

/** Both must answer the same numbers, or they would not be doing the same work. Loads the model, too, if it is not yet. */
export async function compareAnswers(server, limit, key, { subject, body }) {
  const [request] = subject.requests(body, {});
  const ours = await ask(server.port, request, { 'x-api-key': key });
  const theirs = await ask(limit.port, request, {});
  const wanted = Object.fromEntries(
    Object.entries(theirs.outputs).map(([name, nested]) => [name, nested.flat(Infinity)]),
  );
  const agree =
    body === 'tensors'
      ? Object.entries(wanted).every(([name, values]) => {
          const got = ours.outputs[name].flat(Infinity).map(Number);
          return got.length === values.length && got.every((value, i) => close(value, values[i]));
        })
      : Object.values(wanted).some((values) => values.some((value) => close(ours.prediction.probability, value)));
  if (agree) return;
  throw new Error(
    `${subject.label}, ${body}: Sibyl says ${JSON.stringify(ours)}, the limit server ${JSON.stringify(theirs)}`,
  );
}
