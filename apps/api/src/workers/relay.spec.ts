import type { ToWorker } from './messages';
import { Relay } from './relay';
import type { WorkerProcess } from './worker-process';

/** A worker that notes what it is sent. */
function aWorker(): { worker: WorkerProcess; sent: ToWorker[] } {
  const sent: ToWorker[] = [];
  return { worker: { send: (message: ToWorker) => sent.push(message) } as unknown as WorkerProcess, sent };
}

const idOf = (sent: readonly ToWorker[]): number => (sent.at(-1) as ToWorker & { kind: 'ask' }).id;

describe('a question to several workers', () => {
  it('is answered when all have answered', async () => {
    const relay = new Relay();
    const [one, other] = [aWorker(), aWorker()];
    const asked = relay.ask([one.worker, other.worker], 'operation', { id: 'o' }, 10_000);
    expect(one.sent).toMatchObject([{ kind: 'ask', question: 'operation', body: { id: 'o' } }]);
    relay.answer(one.worker, idOf(one.sent), { value: 1 });
    relay.answer(one.worker, idOf(one.sent), { value: 'again' });
    relay.answer(other.worker, idOf(other.sent), { value: 2 });
    expect([...(await asked).values()]).toEqual([{ value: 1 }, { value: 2 }]);
  });

  it('does not wait for one that ends', async () => {
    const relay = new Relay();
    const [one, other] = [aWorker(), aWorker()];
    const asked = relay.ask([one.worker, other.worker], 'flush', undefined, 10_000);
    relay.answer(one.worker, idOf(one.sent), {});
    relay.left(other.worker);
    expect((await asked).size).toBe(1);
  });

  it('does not wait for one that hangs, and knows a late answer from that to another question', async () => {
    const relay = new Relay();
    const { worker, sent } = aWorker();
    expect((await relay.ask([worker], 'metrics', undefined, 1)).size).toBe(0);
    const late = idOf(sent);
    const asked = relay.ask([worker], 'metrics', undefined, 10_000);
    relay.answer(worker, late, { value: 'late' });
    relay.answer(worker, idOf(sent), { value: 'new' });
    expect([...(await asked).values()]).toEqual([{ value: 'new' }]);
  });

  it('to nobody is answered at once', async () => {
    expect((await new Relay().ask([], 'keys', undefined, 10_000)).size).toBe(0);
  });
});
