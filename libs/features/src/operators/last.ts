import type { Series } from '../engine/series';
import { valueAt } from './columns';
import { setNothing, setValue, setWarmingUp } from './computed';
import type { Operator, CompiledOperator } from './operator';
import { oneOutput, RequestReader } from './request-reader';
import { tailOperator } from './tail-operator';
import { firstAfter, type Keep } from './windowed-operator';

/**
 * What the newest event says, in the type of the field; NULL where it says null: an older value does not stand in for it. From
 * the first event on.
 *
 * With a window by time: of the newest event in it that `where` lets through; NULL where there is none.
 */
export const last: Operator = {
  name: 'last',
  inputs: ['input'],
  params: [],
  compile(request) {
    const reader = new RequestReader(last, request);
    reader.withoutTile();
    const { index: column, field } = reader.field(0);
    const outputs = oneOutput(field.type);
    const { window } = request;
    if (window !== undefined && 'span' in window) return lastWithin(window.span, column, outputs);
    reader.withoutWindow();
    return tailOperator(outputs, 1, (series, from, out) => {
      if (from === series.end) setWarmingUp(out, 0, 1);
      else setValue(out, valueAt(series, column, field.type, from));
    });
  },
};

function lastWithin(span: number, column: number, outputs: CompiledOperator['outputs']): CompiledOperator {
  const type = outputs[0]?.type ?? 'double';
  return {
    outputs,
    history: 0,
    span,
    timed: false,
    compute(series, at, out, keep) {
      const index = newestWithin(series, at - span, keep);
      if (index >= 0) setValue(out, valueAt(series, column, type, index));
      else setNothing(out, index === CUT ? 'INVALID' : 'NULL');
    },
  };
}

/** The newest event that counts lies further back than what is kept. */
export const CUT = -2;

/** Index of the newest event after `time` that `keep` lets through; -1: none, `CUT`: it may lie before what is kept. */
export function newestWithin(series: Series, time: number, keep: Keep | undefined): number {
  const from = firstAfter(series, time);
  for (let index = series.end - 1; index >= from; index--) {
    if (keep === undefined || keep(index)) return index;
  }
  return series.cut && from === series.start ? CUT : -1;
}
