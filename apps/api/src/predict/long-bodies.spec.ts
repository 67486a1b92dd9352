import { randomBytes } from 'node:crypto';
import { DomainError, SystemClock } from '@sibyl/kernel';
import { PayloadDigest } from '@sibyl/prediction';
import { HttpOptions } from '../http/http-options';
import { RequestContext } from '../http/request-context';
import { PredictExchange, type PredictEnd } from './predict-exchange';
import { LongBodies } from './long-bodies';
import { PredictOptions } from './predict-options';
import type { Wire } from '../front/wire';

const KEY = randomBytes(32);
const NOBODY = {
  recorded: () => undefined,
  unrecorded: () => undefined,
  broken: () => undefined,
  measured: () => undefined,
} as PredictEnd;

function exchangeOf(body: Buffer, timeoutMs = 10_000): PredictExchange {
  const wire = { headers: { 'x-request-timeout-ms': String(timeoutMs) } } as unknown as Wire;
  const startedAt = new SystemClock().monotonic();
  const context = new RequestContext({ requestId: 'r', ip: '192.0.2.1', startedAt, occurredAtMs: 0 });
  const exchange = new PredictExchange(wire, { kind: 'single', pattern: '/predict' }, context, NOBODY);
  exchange.begin(new PredictOptions());
  exchange.body = body;
  return exchange;
}

/** Read in a hundred slices and more. */
const LARGE = Buffer.from(JSON.stringify(Array.from({ length: 300_000 }, (_, i) => Math.sin(i))));

describe('LongBodies', () => {
  const options = new PredictOptions();
  let bodies: LongBodies;
  beforeEach(() => {
    Object.assign(options, {
      tensorBodyBytes: 2 * LARGE.length,
      longBodiesBytes: 3 * LARGE.length,
      recordedBytes: 100,
    });
    bodies = new LongBodies({
      digest: new PayloadDigest(KEY),
      clock: new SystemClock(),
      options,
      http: new HttpOptions(),
    });
  });

  /** What one request does with its body, as the handler does it. */
  async function read(exchange: PredictExchange, seen: (body: unknown) => void = () => undefined): Promise<string> {
    try {
      bodies.hold(exchange, exchange.body?.length ?? 0);
      try {
        return JSON.stringify(
          await bodies.read(exchange, (body) => {
            seen(body);
            return Promise.resolve();
          }),
        );
      } finally {
        bodies.leave(exchange);
      }
    } catch (error) {
      if (error instanceof DomainError) return error.code;
      throw error;
    }
  }

  it('reads two beside each other, and lets everything else have its turn in between', async () => {
    const order: string[] = [];
    let busy = true;
    const others = (async () => {
      while (busy) {
        await new Promise((resolve) => setImmediate(resolve));
        order.push('-');
      }
    })();
    const [one, two] = [exchangeOf(LARGE), exchangeOf(LARGE)];
    await Promise.all([read(one, () => order.push('1')), read(two, () => order.push('2'))]);
    busy = false;
    await others;
    expect(order.indexOf('1')).toBeGreaterThan(10);
    expect(Math.abs(order.indexOf('2') - order.indexOf('1'))).toBeLessThan(order.indexOf('1'));
  });

  it('notes the digest, and lets go of a body that is not recorded', async () => {
    const exchange = exchangeOf(LARGE);
    expect(await read(exchange)).toBe(String(LARGE));
    expect(exchange.inputsDigest).toBe(new PayloadDigest(KEY).of(LARGE));
    expect(exchange.body).toBeUndefined();
    const short = exchangeOf(Buffer.from('\ufeff[1]'));
    await read(short);
    expect(String(short.body)).toBe('[1]');
  });

  it('reads no more at once than the largest body, in the order in which they came', async () => {
    options.tensorBodyBytes = LARGE.length;
    const order: number[] = [];
    const bodiesOf = [1, 2, 3].map((number) => read(exchangeOf(LARGE), () => order.push(number)));
    await Promise.all(bodiesOf);
    expect(order).toEqual([1, 2, 3]);
  });

  it('refuses more than it may hold, and has room again when others have left', async () => {
    const four = [1, 2, 3, 4].map(() => read(exchangeOf(LARGE)));
    expect((await Promise.all(four)).map((text) => text.length < 20)).toEqual([false, false, false, true]);
    expect(await four[3]).toBe('queue_full');
    expect(await read(exchangeOf(LARGE))).toBe(String(LARGE));
  });

  it('takes one that is larger than what it may hold when there is no other', async () => {
    options.longBodiesBytes = 10;
    expect(await read(exchangeOf(LARGE))).toBe(String(LARGE));
  });

  it.each(['is read', 'waits'])('drops one whose caller hangs up while it %s', async (when) => {
    options.tensorBodyBytes = LARGE.length;
    const [first, second] = [exchangeOf(LARGE), exchangeOf(LARGE)];
    const gone = when === 'is read' ? first : second;
    const used: PredictExchange[] = [];
    const both = [first, second].map((one) => read(one, () => used.push(one)));
    setImmediate(() => setImmediate(() => gone.hangUp()));
    const texts = await Promise.all(both);
    expect(texts[gone === first ? 0 : 1]).toBe('request_timeout');
    expect(used).toEqual([gone === first ? second : first]);
    expect(await read(exchangeOf(LARGE))).toBe(String(LARGE));
  });

  it.each(['is read', 'waits'])('ends one whose deadline passes while it %s', async (when) => {
    options.tensorBodyBytes = LARGE.length;
    const before = when === 'waits' ? [read(exchangeOf(LARGE))] : [];
    const late = exchangeOf(LARGE, 1);
    expect(await read(late)).toBe('deadline_exceeded');
    expect(late.inputsDigest).toBeUndefined();
    await Promise.all(before);
    expect(await read(exchangeOf(LARGE))).toBe(String(LARGE));
  });

  it('counts what is announced, or has come so far, once, and gives it back once', () => {
    const [announced, growing, other] = [LARGE, LARGE, LARGE].map((body) => exchangeOf(body)) as [
      PredictExchange,
      PredictExchange,
      PredictExchange,
    ];
    options.longBodiesBytes = 1_000_000;
    bodies.hold(announced, 600_000);
    for (const bytes of [100_000, 200_000, 400_000]) bodies.hold(growing, bytes);
    expect(() => bodies.hold(growing, 400_001)).toThrow('Too many large requests');
    expect(() => bodies.hold(other, 200_000)).toThrow('Too many large requests');
    expect(() => bodies.hold(other, 100_000)).not.toThrow();
    bodies.leave(growing);
    bodies.leave(growing);
    expect(() => bodies.hold(other, 400_001)).toThrow('Too many large requests');
    bodies.hold(other, 400_000);
    expect([announced, growing, other].map((one) => one.heldBytes)).toEqual([600_000, 0, 400_000]);
  });
});
