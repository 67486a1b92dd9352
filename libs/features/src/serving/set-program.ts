import type { FeatureSet, FeatureView, SetMember } from '../definitions/feature-view';
import type { Program } from '../engine/program';

/** A set ready to be read: which views it takes, and where its members lie in them. */
export class SetProgram {
  readonly views: readonly FeatureView[];
  readonly programs: readonly Program[];
  /** In the order of the set. */
  readonly members: readonly { readonly member: SetMember; readonly view: number; readonly slot: number }[];
  /** `name@sha256:…`, as records name it. */
  readonly reference: string;

  constructor(
    readonly set: FeatureSet,
    viewOf: (member: SetMember) => { readonly view: FeatureView; readonly program: Program },
  ) {
    const views: FeatureView[] = [];
    const programs: Program[] = [];
    this.members = set.members.map((member) => {
      const { view, program } = viewOf(member);
      let index = views.indexOf(view);
      if (index < 0) {
        index = views.push(view) - 1;
        programs.push(program);
      }
      const slot = program.slots.get(member.feature);
      if (slot === undefined) throw new RangeError(`set ${set.name} names no feature of its view: ${member.feature}`);
      return { member, view: index, slot };
    });
    this.views = views;
    this.programs = programs;
    this.reference = `${set.name}@${set.hash}`;
  }
}
