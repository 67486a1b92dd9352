// Hot: runs for every feature of every read that is not in a cache.
import { setNumber } from './computed';
import type { CompiledOperator, Computed, Operator } from './operator';
import { oneOutput, RequestReader } from './request-reader';
import { TIME_UNITS } from './time-units';
import { windowedOperator } from './windowed-operator';

/** Counts events; `finish` makes the value of them and of the length of the window in microseconds. */
function counted(
  reader: RequestReader,
  type: 'int' | 'double',
  finish: (events: number, length: number, out: Computed) => void,
  byLength = false,
): CompiledOperator {
  const { window } = reader.request;
  if (window === undefined || !('span' in window)) throw reader.fault('window', 'needs a window by time');
  const { span } = window;
  return windowedOperator<number>(
    reader,
    oneOutput(type),
    (series, from, out, keep) => {
      let events = series.end - from;
      if (keep !== undefined) {
        events = 0;
        for (let index = from; index < series.end; index++) if (keep(index)) events++;
      }
      finish(events, span, out);
    },
    {
      empty: () => 0,
      add: (events) => events + 1,
      finish(parts, out, length) {
        let events = 0;
        for (const part of parts) events += part;
        finish(events, length, out);
      },
      bytes: () => 8,
      byLength,
    },
  );
}

/** Events of a window by time, whatever they say; 0 where there are none. */
export const count: Operator = {
  name: 'count',
  inputs: [],
  params: [],
  compile: (request) =>
    counted(new RequestReader(count, request), 'int', (events, _length, out) => setNumber(out, events)),
};

/**
 * Events of a window by time divided by its length in `unit` (ms, s, m, h, d; s unless given); 0 where there are none. An entity
 * younger than the window is divided by the whole length too. With tiles the length is from the beginning of the oldest tile.
 */
export const rate: Operator = {
  name: 'rate',
  inputs: [],
  params: ['unit'],
  compile(request) {
    const reader = new RequestReader(rate, request);
    const unit = reader.choice('unit', TIME_UNITS, 's');
    return counted(reader, 'double', (events, length, out) => setNumber(out, events / (length / unit)), true);
  },
};
