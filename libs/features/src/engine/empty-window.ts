import type { OperatorStep } from '../definitions/view-plan';
import type { Computed } from '../operators/operator';
import type { Frame } from './frame';
import type { Series } from './series';

const NO_EVENTS: Series = {
  ...{ start: 0, end: 0, whole: true, cut: false },
  ...{ times: new Float64Array(0), numbers: [], strings: [] },
};

/**
 * What a window by time comes to before the first event of its stream, for an entity that another stream of the view knows: as after
 * its last one, the window is empty, and a count is 0. Written into `out`; false where nothing is known of the entity, or there is no
 * such window.
 */
export function emptyWindow(frame: Frame, { operator }: OperatorStep, out: Computed): boolean {
  if (operator.span === 0 || !isKnown(frame)) return false;
  operator.compute(NO_EVENTS, frame.at, out);
  return true;
}

/** By events of its own: rows that were looked up by other keys come behind them. */
function isKnown({ basis }: Frame): boolean {
  return basis.some(({ entity, eventTime }) => entity === basis[0]?.entity && !Number.isNaN(eventTime));
}
