// Hot: asked for each event of each window with a `where`.
import type { EventCondition } from '../definitions/view-plan';
import type { FeatureValue } from '../feature-value';
import type { EventColumns } from './event-columns';

/** The `where` of a feature over the events that it is pointed at. Made once a plan, used by one evaluation at a time. */
export class EventTest {
  private readonly values: FeatureValue[];
  private columns: EventColumns | undefined;

  constructor(private readonly condition: EventCondition) {
    this.values = condition.fields.map(() => null);
  }

  over(columns: EventColumns): (index: number) => boolean {
    this.columns = columns;
    return this.keep;
  }

  private readonly keep = (index: number): boolean => {
    const { columns, values, condition } = this;
    if (!columns) return false;
    for (let i = 0; i < values.length; i++) values[i] = columns.valueAt(condition.fields[i] as number, index);
    return condition.expression.evaluate(values) === true;
  };
}
