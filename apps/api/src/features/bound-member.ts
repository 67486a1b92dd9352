import type { FeatureValue, SelectedMember, SetSelection } from '@sibyl/features';
import type { FeatureSlot } from '@sibyl/prediction';
import { allocate, type TensorData } from '@sibyl/protocol';
import type { Metrics } from '@sibyl/telemetry';

type Age = ReturnType<Metrics['features']['ageOf']>;

/** A member of a set and the feature of the model that it fills. */
export interface BoundMember {
  /** In the order of the set. */
  readonly index: number;
  readonly member: SelectedMember;
  readonly target: FeatureSlot;
  /** Where a value is tried before the model gets it. */
  readonly scratch: TensorData;
  readonly age: Age;
}

export function bindMembers(
  { members, views }: SetSelection,
  slots: readonly FeatureSlot[],
  metrics: Metrics,
): BoundMember[] {
  return members.flatMap((member, index) => {
    const target = slots.find(({ name }) => name === member.name);
    if (!target || target.shape.length > 0) return [];
    const age = metrics.features.ageOf(views[member.view]?.view.name ?? '', member.feature);
    return [{ index, member, target, scratch: allocate(target.datatype, 1), age }];
  });
}

/** Truth is 1 or 0 to a model of numbers. */
export function forModel({ datatype }: FeatureSlot, value: FeatureValue): unknown {
  return typeof value === 'boolean' && datatype !== 'BOOL' ? Number(value) : value;
}
