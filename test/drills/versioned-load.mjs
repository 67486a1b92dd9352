// Load that holds every answer to the version that it names. A process of its own (fork): `{port, key, connections}` begins
// it, 'stop' ends it and gets everything that was seen. Times are those of the machine's monotonic clock, in ms.
import { Connection, requestBytes } from '../bench/http-connection.mjs';
import { BODY, MODEL } from './versioned-models.mjs';

const MOST = 3_000_000;
const seen = {
  count: 0,
  sentAt: new Float64Array(MOST),
  answeredAt: new Float64Array(MOST),
  versions: new Uint8Array(MOST),
  mixed: 0,
  broken: 0,
  refused: {},
};
let running = true;

export function clock() {
  return Number(process.hrtime.bigint()) / 1e6;
}

function note(status, body, sentAt) {
  const now = clock();
  if (status !== 200) {
    seen.refused[status] = (seen.refused[status] ?? 0) + 1;
    return;
  }
  const { prediction, model_info: info } = JSON.parse(body.toString());
  // The number that was computed is the number of the version: another one comes from other bytes than those named.
  if (String(prediction.value) !== info.version) seen.mixed += 1;
  if (seen.count >= MOST) return;
  seen.sentAt[seen.count] = sentAt;
  seen.answeredAt[seen.count] = now;
  seen.versions[seen.count++] = Number(info.version);
}

function client(port, request) {
  return new Promise((resolve) => {
    let sentAt = 0;
    const send = () => {
      sentAt = clock();
      connection.send(request);
    };
    const answered = (status, body) => {
      note(status, body, sentAt);
      if (running) send();
      else connection.end();
    };
    const closed = (broken) => {
      if (broken) seen.broken += 1;
      resolve();
    };
    const connection = new Connection(port, { connected: send, answered, closed });
  });
}

if (process.send) {
  process.once('message', async ({ port, key, connections }) => {
    process.once('message', () => (running = false));
    const request = requestBytes({ path: `/models/${MODEL}/predict`, headers: { 'x-api-key': key }, body: BODY });
    await Promise.all(Array.from({ length: connections }, () => client(port, request)));
    const { count, sentAt, answeredAt, versions, ...rest } = seen;
    const cut = (values) => values.slice(0, count);
    process.send({ ...rest, sentAt: cut(sentAt), answeredAt: cut(answeredAt), versions: cut(versions) }, () =>
      process.disconnect(),
    );
  });
}
