import type { Gate } from '@sibyl/auth';
import type { CommitReceiver } from '@sibyl/audit';
import { FakeClock } from '@sibyl/kernel/testing';
import type { PayloadDigest } from '@sibyl/prediction';
import { Metrics } from '@sibyl/telemetry';
import { Drain } from '../http/drain';
import type { EventRecorder } from '../http/event-recorder';
import { RequestContext } from '../http/request-context';
import { PredictExchange } from './predict-exchange';
import { PredictReplies } from './predict-replies';
import { Underway } from '../front/underway';
import type { Wire } from '../front/wire';

/** What becomes of a request whose end goes wrong in ways that nobody foresaw. */
describe('PredictReplies', () => {
  let metrics: Metrics;
  let told: unknown[];
  let unexpected: unknown[];
  let receiver: CommitReceiver | undefined;
  let submit: () => void;
  let answer: Wire['answer'];
  let replies: PredictReplies;

  beforeEach(() => {
    metrics = new Metrics();
    told = [];
    unexpected = [];
    receiver = undefined;
    submit = () => undefined;
    answer = (status, _head, body) => void told.push([status, body === '{}' ? body : JSON.parse(body as string).code]);
    replies = new PredictReplies({
      gate: { holderOf: () => undefined } as unknown as Gate,
      recorder: {
        submit: (_context: unknown, _ended: unknown, given: CommitReceiver) => {
          submit();
          receiver = given;
        },
        unexpected: (_context: unknown, error: unknown) => unexpected.push(error),
      } as unknown as EventRecorder,
      digest: { of: () => 'digest' } as unknown as PayloadDigest,
      metrics,
      drain: new Drain(),
      clock: new FakeClock(),
      underway: new Underway(),
      headers: {},
      cors: () => ({}),
      recordedBytes: 1000,
      payloadBytes: 10_000,
    });
  });
  afterEach(() => metrics.close());

  function exchange(): PredictExchange {
    const wire: Wire = {
      target: '/predict',
      address: '192.0.2.1',
      headers: {},
      proof: undefined,
      answer: (...given) => answer(...given),
      abort: () => told.push('aborted'),
    };
    const context = new RequestContext({ requestId: 'r', ip: '192.0.2.1', startedAt: 0, occurredAtMs: 0 });
    return new PredictExchange(wire, { kind: 'single', pattern: '/predict' }, context, replies);
  }
  const broken = new RangeError('nobody foresaw this');
  const fails = (): never => {
    throw broken;
  };

  it('answers when the event is durable, and not before', () => {
    replies.succeed(exchange(), '{}');
    expect(told).toEqual([]);
    receiver?.durable();
    expect(told).toEqual([[200, '{}']]);
  });

  it.each(['succeed', 'fail'] as const)('that cannot submit the event of a request to %s answers 503', (end) => {
    submit = fails;
    replies[end](exchange(), '{}');
    expect(told).toEqual([[503, 'audit_unavailable']]);
    expect(unexpected).toContain(broken);
  });

  it('fails a request whose answer cannot be digested', () => {
    const one = exchange();
    Object.assign(replies, { own: { ...replies['own'], digest: { of: fails } } });
    expect(() => replies.succeed(one, '{}')).toThrow(broken);
    replies.fail(one, broken);
    receiver?.durable();
    expect(told).toEqual([[500, 'internal_error']]);
  });

  it.each(['durable', 'lost'] as const)('ends the connection where a %s event cannot be answered', (outcome) => {
    answer = fails;
    replies.succeed(exchange(), '{}');
    expect(() => receiver?.[outcome](broken)).not.toThrow();
    expect(told).toEqual(['aborted']);
    expect(unexpected).toEqual([broken]);
  });

  it('decides once', () => {
    const one = exchange();
    replies.succeed(one, '{}');
    const first = receiver;
    receiver = undefined;
    replies.fail(one, broken);
    replies.succeed(one, '{}');
    expect(receiver).toBeUndefined();
    first?.durable();
    expect(told).toEqual([[200, '{}']]);
  });
});
