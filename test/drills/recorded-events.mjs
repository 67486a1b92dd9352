// The other half of the account: what the audit log says, and whether it agrees with what callers were told.
import { setTimeout as sleep } from 'node:timers/promises';

const PAGE = 1_000;
const ARRIVAL_LIMIT_MS = 60_000; // shipping is asynchronous, and the chains of killed processes are adopted by and by
const LOOK_AGAIN_MS = 2_000;

/** Every event of an action, oldest first, through the public API and its cursor; undefined while the database is away. */
export async function readEvents(server, action = 'prediction.create') {
  const events = [];
  let cursor;
  do {
    const query = new URLSearchParams({ action, order: 'asc', limit: String(PAGE), ...(cursor ? { cursor } : {}) });
    const answer = await server.call('GET', `/v1/audit/events?${query}`);
    if (answer.status === 503) return undefined; // the database is on its way back
    if (answer.status !== 200) throw new Error(`audit events: ${answer.status} ${JSON.stringify(answer.body)}`);
    events.push(...answer.body.items);
    cursor = answer.body.next;
  } while (cursor);
  return events;
}

/** Gaps and repetitions of `seq` within each chain that these events belong to. */
function brokenChains(events) {
  const chains = new Map();
  for (const { chain, seq } of events) {
    if (!chains.has(chain)) chains.set(chain, []);
    chains.get(chain).push(Number(seq));
  }
  let repeated = 0;
  for (const sequence of chains.values()) repeated += sequence.length - new Set(sequence).size;
  return { chains: chains.size, repeated };
}

/**
 * Compares the ids that callers hold with the events of the log. `missing`: answered but not recorded; `twice`: recorded
 * more than once. Events without an answer are no fault: the process was killed between the record and the answer.
 */
export function compare(answered, events) {
  const counts = new Map();
  const predicted = events.filter((event) => event.prediction_id !== undefined); // a refused call has none
  for (const event of predicted) counts.set(event.prediction_id, (counts.get(event.prediction_id) ?? 0) + 1);
  const missing = answered.filter((id) => !counts.has(id));
  const twice = [...counts].filter(([, count]) => count > 1).map(([id]) => id);
  const told = new Set(answered);
  const untold = [...counts.keys()].filter((id) => !told.has(id)).length;
  return { missing, twice, untold, events: predicted.length, ...brokenChains(events) };
}

/** Reads the log until it holds every answered prediction, or until waiting longer would hide a loss. */
export async function readUntilComplete(server, answered) {
  const begun = performance.now();
  for (;;) {
    const events = await readEvents(server);
    const waitedMs = performance.now() - begun;
    if (events && (waitedMs > ARRIVAL_LIMIT_MS || compare(answered, events).missing.length === 0))
      return { events, waitedMs };
    if (waitedMs > 2 * ARRIVAL_LIMIT_MS) throw new Error('the audit log could not be read');
    await sleep(LOOK_AGAIN_MS);
  }
}

/** Negative control: the same comparison must notice one event that was taken away and one that is there twice. */
export function noticesFaults(answered, events) {
  const told = new Set(answered);
  const ours = events.filter((event) => told.has(event.prediction_id));
  if (ours.length < 2) throw new Error('the self-test needs two answered and recorded predictions');
  const [removed, doubled] = ours;
  const spoiled = [...events.filter((event) => event !== removed), doubled];
  const found = compare(answered, spoiled);
  return (
    found.missing.length === 1 &&
    found.missing[0] === removed.prediction_id &&
    found.twice.length === 1 &&
    found.twice[0] === doubled.prediction_id &&
    found.repeated === 1
  );
}
