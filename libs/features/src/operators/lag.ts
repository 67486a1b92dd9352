import { MAX_SERIES_EVENTS } from '../engine/series';
import { valueAt } from './columns';
import { setValue, setWarmingUp } from './computed';
import type { Operator } from './operator';
import { oneOutput, RequestReader } from './request-reader';
import { tailOperator } from './tail-operator';

/** What the event `n` before the newest says (1 unless given), in the type of the field; NULL where it says null. Needs n + 1 events. */
export const lag: Operator = {
  name: 'lag',
  inputs: ['input'],
  params: ['n'],
  compile(request) {
    const reader = new RequestReader(lag, request);
    reader.withoutWindow();
    const { index: column, field } = reader.field(0);
    const need = reader.whole('n', { min: 1, max: MAX_SERIES_EVENTS - 1, fallback: 1 }) + 1;
    return tailOperator(oneOutput(field.type), need, (series, from, out) => {
      const have = series.end - from;
      if (have < need) setWarmingUp(out, have, need);
      else setValue(out, valueAt(series, column, field.type, from));
    });
  },
};
