import { setNothing, setNumber, setWarmingUp } from './computed';
import { CUT, newestWithin } from './last';
import type { Operator } from './operator';
import { oneOutput, RequestReader } from './request-reader';
import { TIME_UNITS } from './time-units';

/**
 * Time from the newest event to the moment, in `unit` (ms, s, m, h, d; s unless given), whatever the event says. From the first
 * event on. With a window by time: from the newest event in it that `where` lets through; NULL where there is none.
 */
export const timeSinceLast: Operator = {
  name: 'time_since_last',
  inputs: [],
  params: ['unit'],
  compile(request) {
    const reader = new RequestReader(timeSinceLast, request);
    const unit = reader.choice('unit', TIME_UNITS, 's');
    reader.withoutTile();
    const outputs = oneOutput('double');
    const { window } = request;
    if (window === undefined) {
      return {
        outputs,
        history: 1,
        span: 0,
        timed: true,
        compute(series, at, out) {
          if (series.end === series.start) setWarmingUp(out, 0, 1);
          else setNumber(out, (at - (series.times[series.end - 1] ?? at)) / unit);
        },
      };
    }
    if (!('span' in window)) throw reader.fault('window', 'takes a window by time or none');
    const { span } = window;
    return {
      outputs,
      history: 0,
      span,
      timed: true,
      compute(series, at, out, keep) {
        const index = newestWithin(series, at - span, keep);
        if (index >= 0) setNumber(out, (at - (series.times[index] ?? at)) / unit);
        else setNothing(out, index === CUT ? 'INVALID' : 'NULL');
      },
    };
  },
};
