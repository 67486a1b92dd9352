import { DomainError, nearestWords, type FieldFault, received } from '@sibyl/kernel';
import { LRUCache } from 'lru-cache';
import type { FeatureSet, FeatureView } from '../definitions/feature-view';
import { readsSameEvents } from '../definitions/stream-versions';
import { Program } from '../engine/program';
import type { FeatureValue, ValueType } from '../feature-value';
import type { KeptStream, StreamCatalog } from '../log/stream-catalog';
import type { DefinitionCompiler } from '../store/definition-compiler';
import type { DefinitionSnapshot } from '../store/definition-snapshot';
import type { DefinitionStore } from '../store/definition-store';

/** Where a value comes from. */
export const VALUE_SOURCES = ['stream', 'table', 'expression', 'request', 'default'] as const;
export type ValueSource = (typeof VALUE_SOURCES)[number];

/** One value of each row. */
export interface SelectedMember {
  /** What callers call it. */
  readonly name: string;
  readonly feature: string;
  readonly type: ValueType;
  /** Index in `views`. */
  readonly view: number;
  readonly slot: number;
  readonly source: ValueSource;
  /** A prediction is not made without it, whatever the policy of the set. */
  readonly required: boolean;
  readonly default?: FeatureValue | undefined;
}

/** What is read of each entity: a set, or a list of features; every name resolved. Immutable, made once a version. */
export interface Selection {
  /** Absent where it is a list. */
  readonly set?: FeatureSet;
  readonly views: readonly SelectedView[];
  /** Of the views, in their order. */
  readonly programs: readonly Program[];
  readonly members: readonly SelectedMember[];
  /** Of the members, in their order. */
  readonly sources: readonly ValueSource[];
  /** A stream as it is kept now, which versions of before may have known otherwise. */
  readonly kept: StreamCatalog['kept'];
}

/** A set ready to be read. */
export interface SetSelection extends Selection {
  readonly set: FeatureSet;
  /** `name@sha256:…`, as records name it. */
  readonly reference: string;
}

export interface SelectedView {
  readonly view: FeatureView;
  readonly program: Program;
}

const FEATURES_MAX = 1024;
const KEPT = 1024;
/** Of all lists of features that are kept, in characters. */
const LISTS_CHARACTERS = 4 * 1024 * 1024;
const VIEW = /^([a-z][a-z0-9_]{0,62})(?:@(?:sha256:)?([0-9a-f]{12,64}))?$/;
const VIEW_FEATURE = /^([a-z][a-z0-9_]{0,62})(?:@(?:sha256:)?([0-9a-f]{12,64}))?:([a-z][a-z0-9_.]{0,126})$/;

export interface SelectionParts {
  readonly compiler: DefinitionCompiler;
  readonly snapshot: DefinitionSnapshot;
  readonly store: Pick<DefinitionStore, 'find'>;
}

/** Makes selections, each once. */
export class Selections {
  private readonly programs = new WeakMap<FeatureView, Program>();
  private readonly made = new LRUCache<string, SetSelection>({ max: KEPT });
  /** Of lists of features of current views, by their text: clients ask for the same few over and over. */
  private readonly lists = new LRUCache<string, Selection>({ max: KEPT, maxSize: LISTS_CHARACTERS });

  constructor(private readonly parts: SelectionParts) {}

  kept(stream: string): KeptStream | undefined {
    return this.parts.snapshot.kept(stream);
  }

  /** One a version of a view: what is kept of its values is known by it. */
  program(view: FeatureView): Program {
    const known = this.programs.get(view);
    if (known) return known;
    const program = new Program(this.parts.compiler.plan(view));
    this.programs.set(view, program);
    return program;
  }

  /** `name`, or `name@` and the first hexadecimal digits of a hash. */
  async ofSet(reference: string): Promise<SetSelection> {
    const { snapshot, store } = this.parts;
    const current = reference.includes('@') ? undefined : snapshot.set(reference);
    if (current) return this.ofVersion(current);
    const { resolved } = await store.find('set', reference);
    if (!('members' in resolved)) throw new RangeError('a set without members');
    return this.ofVersion(resolved);
  }

  /** `view:feature`, or `view@<beginning of its hash>:feature`. */
  async ofFeatures(references: readonly string[], at: (index: number) => string): Promise<Selection> {
    if (references.length > FEATURES_MAX)
      throw new DomainError('batch_too_large', `At most ${FEATURES_MAX} features are read at once.`, {
        faults: [{ pointer: '/features', expected: `at most ${FEATURES_MAX}`, received: String(references.length) }],
      });
    const text = references.join('\n');
    const known = this.lists.get(text);
    if (known?.views.every(({ view }) => this.parts.snapshot.view(view.name) === view)) return known;
    const selection = await this.readList(references, at);
    if (!text.includes('@')) this.lists.set(text, selection, { size: text.length + 1 });
    return selection;
  }

  private async readList(references: readonly string[], at: (index: number) => string): Promise<Selection> {
    const faults: FieldFault[] = [];
    const builder = new SelectionBuilder(this);
    let missing: string | undefined;
    for (const [i, reference] of references.entries()) {
      const [, name = '', prefix, feature = ''] = VIEW_FEATURE.exec(reference) ?? [];
      const view = await this.view(name, prefix);
      if (view && builder.add(view, feature, { name: reference })) continue;
      if (!view && name !== '') missing ??= prefix === undefined ? name : `${name}@${prefix}`;
      const fault = view ? unknownFeature(builder, view, feature) : this.unknownView(name, feature);
      faults.push({ pointer: at(i), ...fault, received: received(reference) });
    }
    if (faults.length === 0) return builder.build();
    const shown = faults.slice(0, 64);
    // A view that is not there is said as everywhere; of those that are, a name is wrong.
    if (missing !== undefined) throw unknownView(missing, this.parts.snapshot, shown);
    throw new DomainError('invalid_parameter', 'Some of the features do not exist.', { faults: shown });
  }

  /** All that a view offers: `name`, or `name@` and the beginning of a hash. */
  async ofView(reference: string): Promise<Selection & { readonly view: FeatureView }> {
    const [, name = '', prefix] = VIEW.exec(reference) ?? [];
    const view = await this.view(name, prefix);
    if (!view) throw unknownView(reference, this.parts.snapshot);
    const builder = new SelectionBuilder(this);
    for (const feature of this.program(view).slots.keys()) builder.add(view, feature, { name: feature });
    return { view, ...builder.build() };
  }

  private unknownView(name: string, feature: string): Omit<FieldFault, 'pointer'> {
    const [near] = nearestWords(name, namesOfViews(this.parts.snapshot));
    const hint = near === undefined ? {} : { hint: `did you mean '${near}:${feature}'?` };
    return { expected: 'view:feature of a view that is published', ...hint };
  }

  private async view(name: string, prefix: string | undefined): Promise<FeatureView | undefined> {
    const { snapshot } = this.parts;
    if (name === '') return undefined;
    if (prefix === undefined) return snapshot.view(name);
    const view = await snapshot.olderView(name, `sha256:${prefix}`);
    return view && this.isReadable(view) ? view : undefined;
  }

  /** Not so an old version of which a stream, while it had no event, was defined anew. */
  private isReadable({ streams }: FeatureView): boolean {
    return streams.every((definition) => {
      const now = this.parts.snapshot.stream(definition.name)?.definition;
      return now === undefined || readsSameEvents(now, definition);
    });
  }

  /** A version of a set; undefined where versions of views that it names are not at hand. */
  ofKnown(set: FeatureSet): SetSelection | undefined {
    const known = this.made.get(set.hash);
    if (known) return known;
    const builder = new SelectionBuilder(this);
    for (const { name, view: viewName, viewHash, feature, type, default: fallback } of set.members) {
      const view = this.parts.snapshot.view(viewName, viewHash);
      if (!view || !this.isReadable(view)) return undefined;
      if (!builder.add(view, feature, { name, type, default: fallback }))
        throw new RangeError(`set ${set.name} names no feature of its view: ${viewName}:${feature}`);
    }
    const selection = { set, reference: `${set.name}@${set.hash}`, ...builder.build() };
    this.made.set(set.hash, selection);
    return selection;
  }

  private async ofVersion(set: FeatureSet): Promise<SetSelection> {
    const known = this.made.get(set.hash);
    if (known) return known;
    for (const { view, viewHash } of set.members) await this.parts.snapshot.olderView(view, viewHash);
    const selection = this.ofKnown(set);
    if (selection) return selection;
    const detail = `The version of the set '${set.name}' reads a stream that was defined anew since.`;
    throw new DomainError('feature_set_not_found', detail);
  }
}

class SelectionBuilder {
  private readonly views: SelectedView[] = [];
  private readonly members: SelectedMember[] = [];

  constructor(private readonly selections: Selections) {}

  names(view: FeatureView): Iterable<string> {
    return this.selections.program(view).slots.keys();
  }

  add(
    view: FeatureView,
    feature: string,
    called: Pick<SelectedMember, 'name' | 'default'> & Partial<Pick<SelectedMember, 'type'>>,
  ): boolean {
    const program = this.selections.program(view);
    const slot = program.slots.get(feature);
    const output = slot === undefined ? undefined : program.plan.outputs[slot];
    if (slot === undefined || !output) return false;
    let index = this.views.findIndex((one) => one.view === view);
    if (index < 0) index = this.views.push({ view, program }) - 1;
    const source = sourceOf(program, output.step);
    const step = program.plan.steps[output.step];
    const required = step !== undefined && 'feature' in step && step.feature.required;
    this.members.push({ feature, type: output.type, view: index, slot, source, required, ...called });
    return true;
  }

  build(): Selection {
    const { views, members } = this;
    const programs = views.map(({ program }) => program);
    const kept = (stream: string): KeptStream | undefined => this.selections.kept(stream);
    return { views, programs, members, sources: members.map(({ source }) => source), kept };
  }
}

function sourceOf(program: Program, step: number): ValueSource {
  switch (program.plan.steps[step]?.kind) {
    case 'static':
      return 'table';
    case 'expression':
      return 'expression';
    case 'request':
    case 'moment':
      return 'request';
    default:
      return 'stream';
  }
}

function namesOfViews(snapshot: Pick<DefinitionSnapshot, 'views'>): readonly string[] {
  return snapshot.views().map(({ name }) => name);
}

/** Of a name, or a reference that begins with one. */
export function unknownView(
  reference: string,
  snapshot: Pick<DefinitionSnapshot, 'views'>,
  faults?: readonly FieldFault[],
): DomainError {
  const near = nearestWords(reference.split('@')[0] ?? '', namesOfViews(snapshot));
  const hint = near.map((name) => ` Did you mean '${name}'?`).join('');
  const detail = `There is no feature view '${reference.slice(0, 128)}'.${hint}`;
  return new DomainError('feature_view_not_found', detail, faults && { faults });
}

function unknownFeature(builder: SelectionBuilder, view: FeatureView, feature: string): Omit<FieldFault, 'pointer'> {
  const [near] = nearestWords(feature, builder.names(view));
  const hint = near === undefined ? {} : { hint: `did you mean '${near}'?` };
  return { expected: `a feature of '${view.name}'`, ...hint };
}
