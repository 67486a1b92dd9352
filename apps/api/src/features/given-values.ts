/** Hot path: what requests give, by whichever of its names. */
import { readGiven, type FeatureValue, type OnlineRow, type SetSelection } from '@sibyl/features';
import { received } from '@sibyl/kernel';
import { noteFault, pointerTo, RequestFaults, type FeatureAsk, type FeatureSlot } from '@sibyl/prediction';
import { forModel, type BoundMember } from './bound-member';

/** A feature of a view that a name in a request stands for. */
interface Meant {
  readonly view: number;
  readonly slot: number;
  readonly feature: string;
  /** Features of the model that it fills. */
  readonly targets: readonly FeatureSlot[];
  /** A feature of the model that takes numbers is given truth as 1 or 0. */
  readonly truth: boolean;
}

type ByFeature = Record<string, FeatureValue>;

/** What a set knows of what a request gives, and what it asks of it. */
export class GivenValues {
  /** What requests may give beside the features of the model. */
  readonly extra: ReadonlySet<string>;
  private readonly meant = new Map<string, Meant[]>();

  constructor(
    private readonly selection: SetSelection,
    members: readonly BoundMember[],
    slots: readonly FeatureSlot[],
  ) {
    const own = new Set(slots.map(({ name }) => name));
    const mean = (name: string, view: number, slot: number, feature: string): void => {
      const targets = members.filter(({ member }) => member.view === view && member.slot === slot);
      const isTruth = selection.programs[view]?.plan.outputs[slot]?.type === 'bool';
      const truth = isTruth && targets.some(({ target }) => target.datatype !== 'BOOL');
      const all = this.meant.get(name) ?? [];
      all.push({ view, slot, feature, targets: targets.map(({ target }) => target), truth });
      this.meant.set(name, all);
    };
    for (const { member } of members) mean(member.name, member.view, member.slot, member.feature);
    selection.programs.forEach((program, view) => {
      for (const [feature, slot] of program.slots) if (!own.has(feature)) mean(feature, view, slot, feature);
    });
    this.extra = new Set([...this.meant.keys()].filter((name) => !own.has(name)));
  }

  /** For each view; undefined: nothing that it knows. Throws what is wrong with it. */
  of(ask: FeatureAsk): OnlineRow['given'] {
    const names = Object.keys(ask.features);
    if (names.length === 0) return undefined;
    const faults = new RequestFaults();
    let byView: ByFeature[] | undefined;
    for (const name of names) {
      for (const meant of this.meant.get(name) ?? []) {
        byView ??= this.selection.programs.map(() => ({}));
        this.take(byView[meant.view] as ByFeature, meant, name, ask, faults);
      }
    }
    if (byView === undefined) return undefined;
    const given = byView.map((values, view) => {
      const read = readGiven(this.selection.programs[view] as (typeof this.selection.programs)[number], values);
      for (const { name, type } of read.faults) this.noteType(faults, ask, { view, feature: name, type });
      return read.given;
    });
    faults.throwIfAny();
    this.checkTargets(ask, byView);
    return given;
  }

  /** What a request calls a feature that it gives. */
  nameOf({ features }: FeatureAsk, view: number, slot: number): string | undefined {
    return Object.keys(features).find((name) =>
      this.meant.get(name)?.some((meant) => meant.view === view && meant.slot === slot),
    );
  }

  private take(
    values: ByFeature,
    { feature, truth }: Meant,
    name: string,
    { features, pointer }: FeatureAsk,
    faults: RequestFaults,
  ): void {
    const sent = features[name] as FeatureValue;
    const value = truth && (sent === 0 || sent === 1) ? sent === 1 : sent;
    if (Object.hasOwn(values, feature) && values[feature] !== value)
      faults.add('invalid_parameter', `'${name}' is '${feature}', of which another name says something else.`, {
        pointer: pointerTo(pointer, name),
        expected: 'one value, whatever it is called',
        received: received(sent),
      });
    values[feature] = value;
  }

  private noteType(
    faults: RequestFaults,
    ask: FeatureAsk,
    { view, feature, type }: { readonly view: number; readonly feature: string; readonly type: string | undefined },
  ): void {
    const program = this.selection.programs[view];
    const name = this.nameOf(ask, view, program?.slots.get(feature) ?? -1) ?? feature;
    const which = name === feature ? '' : `, as '${program?.plan.view.name ?? ''}:${feature}' is`;
    faults.add('input_type_mismatch', 'A feature has a value of the wrong type.', {
      pointer: pointerTo(ask.pointer, name),
      expected: `${type ?? 'a known feature'}${which}`,
      received: received(ask.features[name]),
    });
  }

  /** By the names of views, as the rows of the model check what comes by its own. */
  private checkTargets(ask: FeatureAsk, byView: readonly ByFeature[]): void {
    let faults: RequestFaults | undefined;
    for (const name of Object.keys(ask.features)) {
      if (!this.extra.has(name)) continue;
      for (const { view, feature, targets } of this.meant.get(name) ?? []) {
        const value = byView[view]?.[feature] ?? null;
        const at = pointerTo(ask.pointer, name);
        for (const target of targets)
          noteFault((faults ??= new RequestFaults()), target, forModel(target, value), { name, at });
      }
    }
    faults?.throwIfAny();
  }
}
