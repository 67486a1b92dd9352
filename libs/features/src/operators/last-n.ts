import { valueAt } from './columns';
import { setWarmingUp } from './computed';
import type { Operator } from './operator';
import { oneOutput, RequestReader } from './request-reader';
import { tailOperator } from './tail-operator';

/** A longer list is a training set, not a feature. */
const MAX_LENGTH = 1024;

/** What the last `n` events say, oldest first, nulls among them: always a list of `n`. Needs n events. */
export const lastN: Operator = {
  name: 'last_n',
  inputs: ['input'],
  params: ['n'],
  compile(request) {
    const reader = new RequestReader(lastN, request);
    reader.withoutWindow();
    const { index: column, field } = reader.field(0);
    const need = reader.whole('n', { min: 1, max: MAX_LENGTH });
    return tailOperator(oneOutput(field.type, true), need, (series, from, out) => {
      if (series.end - from < need) return setWarmingUp(out, series.end - from, need);
      // A new list each time: callers keep it, and `out` is used again.
      const list: (number | string | boolean | null)[] = [];
      for (let index = from; index < series.end; index++) {
        list.push(valueAt(series, column, field.type, index) as number | string | boolean | null);
      }
      out.values[0] = list;
      out.status = 'PRESENT';
    });
  },
};
