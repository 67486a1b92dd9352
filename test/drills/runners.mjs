// npm run drill:runners: what becomes of requests whose runner ends. A runner is killed once a second under steady load, one
// is suspended, and requests that take all memory or never end are mixed into good ones. No answer may be wrong, at most one
// in a thousand may be a 5xx, and only the bad requests may be refused.
//   --seconds N   how long each part takes (default 20)
import fs from 'node:fs';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { quantile, table } from '../bench/figures.mjs';
import { memoryKib, processTree } from '../support/processes.mjs';
import { REPOSITORY, startServer } from '../support/server.mjs';
import { poisonModel, TOO_LONG, TOO_MUCH } from './poison-model.mjs';
import { post, SteadyLoad } from './steady-load.mjs';

const PER_SECOND = 200;
const POISON_EVERY_MS = 4_000; // a request that never ends takes the only runner for two runs of 2 s
const KILL_EVERY_MS = 1_000;
const QUESTIONS = 50;
const MOST_FAILURES = 0.001;
const RUNNER_MIB = 384; // twice what the demo models take, and less than the bad request does
const IDLE_MIB = 450; // what all processes of the server may take while they do nothing

const at = process.argv.indexOf('--seconds');
const seconds = at > 0 ? Number(process.argv[at + 1]) : 20;
if (!Number.isInteger(seconds) || seconds < 5) throw new Error('--seconds needs a whole number of at least 5');

function features(i) {
  return { price: 40_000 + i * 211, volume: 1e6 + i * 1e4, rsi: 20 + i, macd: i - 25 };
}

/** Questions to the demo model with the answers that it gives while nothing is wrong. */
async function questions(target) {
  const asked = Array.from({ length: QUESTIONS }, (_, i) => ({
    route: '/predict',
    body: { symbol: 'BTC/USDT', model: 'momentum', features: features(i) },
  }));
  return Promise.all(
    asked.map(async (question) => {
      const { status, body } = await post(target, question.route, question.body);
      if (status !== 200) throw new Error(`the demo model answered ${status} ${JSON.stringify(body)}`);
      return { ...question, expected: body.prediction };
    }),
  );
}

const servingRunner = async (server) => {
  const { body } = await server.call('GET', '/health/detailed');
  return body.runtime.runners.find(({ state }) => state !== 'down')?.pid;
};

function signal(pid, name) {
  try {
    process.kill(pid, name);
    return true;
  } catch (error) {
    if (error.code !== 'ESRCH') throw error;
    return false;
  }
}

/** One part of the drill: steady load while `work` does something; what came of both. */
async function part(name, load, work) {
  load.start();
  const moments = [];
  try {
    await sleep(500);
    await work(moments);
    await sleep(500);
  } finally {
    await load.stop();
  }
  return { name, load, waits: moments.map((moment) => load.firstAnswerAfter(moment)) };
}

async function killRepeatedly(server, moments) {
  for (let kill = 0; kill < seconds; kill++) {
    const pid = await servingRunner(server);
    const moment = performance.now();
    if (pid !== undefined && signal(pid, 'SIGKILL')) moments.push(moment);
    await sleep(KILL_EVERY_MS);
  }
}

async function suspend(server, moments) {
  for (let times = 0; times < 2; times++) {
    const pid = await servingRunner(server);
    moments.push(performance.now());
    signal(pid, 'SIGSTOP');
    for (const until = performance.now() + 20_000; (await servingRunner(server)) === pid; await sleep(50)) {
      if (performance.now() > until) throw new Error('the suspended runner was never replaced');
    }
    await sleep(2_000);
  }
}

/** Sends bad requests; what became of each. */
async function poison(target, answers) {
  const sent = [];
  for (let i = 0; i < (seconds * 1000) / POISON_EVERY_MS; i++) {
    const [kind, inputs] = i % 2 === 0 ? ['too much memory', TOO_MUCH] : ['too long', TOO_LONG];
    const call = post(target, '/models/poison/predict', { inputs }).then(({ status, body }) => {
      const name = `${kind}: ${status} ${body?.code ?? ''}`;
      answers.set(name, (answers.get(name) ?? 0) + 1);
    });
    sent.push(call);
    await sleep(POISON_EVERY_MS);
  }
  await Promise.all(sent);
}

function report({ name, load, waits }) {
  const ms = (value) => (waits.length === 0 ? '-' : value.toFixed(0));
  const refused = [...load.refused].map(([what, count]) => `${count} x ${what}`).join(', ') || '-';
  return [name, load.sent, load.right, load.wrong, refused, ms(quantile(waits, 0.5)), ms(quantile(waits, 1))];
}

function misses(parts, answers) {
  const list = [];
  for (const { name, load, waits } of parts) {
    if (load.wrong > 0) list.push(`${name}: ${load.wrong} wrong answers`);
    if (load.failures > load.sent * MOST_FAILURES) list.push(`${name}: ${load.failures} of ${load.sent} failed`);
    if (load.right + load.failures < load.sent) list.push(`${name}: good requests were refused`);
    if (waits.some((wait) => !Number.isFinite(wait))) list.push(`${name}: nothing was answered after a loss`);
  }
  const known = ['too much memory: 422 model_crashed_on_input', 'too long: 504 deadline_exceeded'];
  const other = [...answers.keys()].filter((answer) => !known.includes(answer));
  if (other.length > 0) list.push(`bad requests were answered with ${other.join(', ')}`);
  if (!known.every((answer) => answers.has(answer))) list.push('not every kind of bad request was answered');
  return list;
}

async function drill(server, target) {
  const asked = await questions(target);
  const demo = { perSecond: PER_SECOND, question: (i) => asked[i % asked.length], answerOf: (body) => body.prediction };
  const mixed = {
    perSecond: PER_SECOND / 2,
    question: (i) => {
      if (i % 2 === 0) return demo.question(i);
      return { route: '/models/poison/predict', body: { inputs: { x: [i], elements: [1] } }, expected: [i] };
    },
    answerOf: (body) => body.prediction ?? body.outputs.y,
  };
  const answers = new Map();
  const parts = [
    await part('killed once a second', new SteadyLoad(target, demo), (moments) => killRepeatedly(server, moments)),
    await part('suspended', new SteadyLoad(target, demo), (moments) => suspend(server, moments)),
    await part('bad requests among good', new SteadyLoad(target, mixed), () => poison(target, answers)),
  ];
  return { parts, answers };
}

async function main() {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'sibyl-poison-'));
  fs.writeFileSync(path.join(folder, 'model.onnx'), poisonModel());
  fs.writeFileSync(path.join(folder, 'sibyl.json'), JSON.stringify({ name: 'poison', version: '1' }));
  const models = [path.join(REPOSITORY, 'examples/models/*'), folder].join(',');
  const env = { SIBYL_MODELS: models, SIBYL_RUNNERS: '1', SIBYL_RUNNER_MEMORY_MIB: String(RUNNER_MIB) };
  const server = await startServer({ env });
  const agent = new http.Agent({ keepAlive: true });
  try {
    const issued = await server.call('POST', '/v1/keys', { body: { name: 'drill', role: 'team' } });
    // The spare comes with the first prediction.
    await server.call('POST', '/predict', { body: { model: 'momentum', features: { price: 1, volume: 1, rsi: 50 } } });
    await sleep(2_000); // the spare is there, and what starting took is given back
    const idle = processTree(server.pid).map(({ pid, kind }) => ({ kind, mib: memoryKib(pid).pss / 1024 }));
    const idleMib = idle.reduce((sum, { mib }) => sum + mib, 0);
    const { parts, answers } = await drill(server, { port: server.port, key: issued.body.key, agent });
    const head = ['one runner, one spare', 'sent', 'right', 'wrong', 'refused', 'next answer p50 ms', 'max ms'];
    console.log(table([head, ...parts.map(report)]));
    console.log(`bad requests: ${[...answers].map(([what, count]) => `${count} x ${what}`).join(', ')}`);
    const runners = idle.filter(({ kind }) => kind === 'runner').map(({ mib }) => mib.toFixed(0));
    console.log(`idle: ${idleMib.toFixed(0)} MiB PSS of all processes, runners ${runners.join(' and ')} MiB`);
    const list = misses(parts, answers);
    if (idleMib > IDLE_MIB) list.push(`idle, all processes take ${idleMib.toFixed(0)} MiB`);
    for (const miss of list) console.log(`missed: ${miss}`);
    const [killed] = parts;
    const failed = parts.reduce((sum, { load }) => sum + load.failures, 0);
    const wrong = parts.reduce((sum, { load }) => sum + load.wrong, 0);
    console.log(
      `${wrong} wrong answers and ${failed} failures among ${parts.reduce((sum, { load }) => sum + load.sent, 0)} good requests; ` +
        `after a kill the next answer p50 ${quantile(killed.waits, 0.5).toFixed(0)} ms, max ${quantile(killed.waits, 1).toFixed(0)} ms`,
    );
    return list.length === 0;
  } finally {
    agent.destroy();
    await server.stop();
    fs.rmSync(folder, { recursive: true });
  }
}

process.exitCode = (await main()) ? 0 : 1;
