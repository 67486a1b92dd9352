import { PredictExchange, type PredictEnd } from './predict-exchange';
import { PredictOptions } from './predict-options';
import { predictRoute } from './predict-routes';
import type { RequestContext } from '../http/request-context';
import type { Wire, WireHeaders } from '../front/wire';

const END: PredictEnd = {
  recorded: () => undefined,
  unrecorded: () => undefined,
  broken: () => undefined,
  measured: () => undefined,
};

function begun(headers: WireHeaders): PredictExchange {
  const context = { startedAt: 1_000 } as RequestContext;
  const exchange = new PredictExchange({ headers } as Wire, predictRoute('/predict')!, context, END);
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
