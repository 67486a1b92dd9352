// How long the gate takes for one request: authenticate, authorize and admit, on a table of 1,000 keys.
// node -r ./test/support/load-typescript.cjs libs/auth/src/gate.bench.ts
import { SystemClock } from '@sibyl/kernel';
import { newKeyText, parseKey } from './key-text';
import { Door } from './testing';

const KEYS = 1_000;
const ROUNDS = 200_000;
const LIMIT_US = 10;

const door = new Door(new SystemClock());
const { gate } = door;
const texts = Array.from({ length: KEYS }, () => door.add({ rateLimit: { requests: 1_000_000, seconds: 1 } }));
const unknown = newKeyText();
const malformed = `${unknown.slice(0, -1)}${unknown.endsWith('0') ? '1' : '0'}`;

const parts = {
  'parseKey alone': (i: number): unknown => parseKey(textOf(i)),
  authenticate: (i: number): unknown => gate.authenticate(textOf(i), '127.0.0.1'),
  'all three': (i: number): unknown => {
    const principal = gate.authenticate(textOf(i), '127.0.0.1');
    gate.authorize(principal, 'predict', 'momentum');
    return gate.admit(principal);
  },
  'unknown key': (): unknown => refused(unknown),
  'malformed key': (): unknown => refused(malformed),
};

function textOf(i: number): string {
  return texts[i % KEYS] ?? '';
}

function refused(text: string): void {
  try {
    gate.authenticate(text, '192.0.2.1');
  } catch {
    return;
  }
  throw new Error('let in');
}

function microsecondsOf(work: (i: number) => unknown): number {
  for (let i = 0; i < ROUNDS / 10; i++) work(i);
  let best = Infinity;
  for (let repeat = 0; repeat < 5; repeat++) {
    const start = process.cpuUsage();
    for (let i = 0; i < ROUNDS / 5; i++) work(i);
    const { user, system } = process.cpuUsage(start);
    best = Math.min(best, (user + system) / (ROUNDS / 5));
  }
  return best;
}

const results: Record<string, number> = Object.fromEntries(
  Object.entries(parts).map(([name, work]) => [name, microsecondsOf(work)]),
);
for (const [name, us] of Object.entries(results)) console.log(`${name.padEnd(16)} ${us.toFixed(2).padStart(6)} µs`);
const figure = results['all three'] ?? Infinity;
console.log(`gate: ${figure.toFixed(2)} µs a request (limit ${LIMIT_US})`);
process.exitCode = figure <= LIMIT_US ? 0 : 1;
