import type { FeatureSet } from '../definitions/feature-view';
import type { Explanation } from '../engine/explain';
import type { SelectedMember, Selection } from './selection';
import { servedRow, type ServedRow } from './served-row';

/** Why a member has its value, and what the policy of its set makes of it. */
export interface ExplainedMember extends Explanation {
  /** Absent where it is a list that is read. */
  readonly served?: { readonly set: FeatureSet; readonly member: SelectedMember; readonly row: ServedRow };
}

/** The explanation of one of the members, with what a read by the set answers. */
export function withServed(selection: Selection, member: SelectedMember, explanation: Explanation): ExplainedMember {
  const { set, views, programs } = selection;
  if (!set) return explanation;
  const alone = { set, views, programs, members: [member], sources: [member.source] };
  const frames = programs.map(() => explanation.frame);
  return { ...explanation, served: { set, member, row: servedRow(alone, frames) } };
}
