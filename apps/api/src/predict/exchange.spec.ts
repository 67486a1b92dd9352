import { Exchange, type ExchangeEnd } from './exchange';
import { PredictOptions } from './predict-options';
import { predictRoute } from './predict-routes';
import type { RequestContext } from '../http/request-context';
import type { Wire, WireHeaders } from './wire';

const END: ExchangeEnd = { recorded: () => undefined, unrecorded: () => undefined, broken: () => undefined };

function begun(headers: WireHeaders): Exchange {
  const context = { startedAt: 1_000 } as RequestContext;
  const exchange = new Exchange({ headers } as Wire, predictRoute('/predict')!, context, END);
  exchange.begin(new PredictOptions());
  return exchange;
}

describe('an exchange', () => {
  it('tells the runtime how urgent it is, and until when its answer is of use', () => {
    expect(begun({}).call.request([], 0)).toMatchObject({ bulk: false, deadlineAt: 11_000 });
    expect(begun({ 'x-request-priority': 'interactive' }).call.request([], 0)).toMatchObject({ bulk: false });
    const headers = { 'x-request-priority': 'bulk', 'x-request-timeout-ms': '250' };
    expect(begun(headers).call.request([], 0)).toMatchObject({ bulk: true, deadlineAt: 1_250 });
  });
});
