import type { StreamDefinition } from '../definitions/feature-view';
import { readsSameEvents } from '../definitions/stream-versions';
import type { OperatorStep, ViewPlan } from '../definitions/view-plan';
import type { TileFold } from '../operators/operator';
import type { Micros } from '../time';
import { EventTest } from './event-condition';

/** Words of memory an entity that are not worth reading it again: some dozens of events. */
const FEW_WORDS = 512;

/** What plans need to have at hand of one entity's events on a stream. */
export interface StreamNeed {
  readonly definition: StreamDefinition;
  /** By the index of the field: something reads it. */
  readonly kept: readonly boolean[];
  /** Newest events; one at least, for ages and records. */
  readonly history: number;
  /** The longest window by time without tiles. */
  readonly span: Micros;
  readonly folds: readonly FoldNeed[];
}

/** Sums over tiles that a step wants kept. */
export interface FoldNeed {
  readonly step: OperatorStep;
  readonly tiles: TileFold;
  readonly test?: EventTest;
}

/** What all of these plans need together, one for each stream and each retention that they read it with: more counts for who keeps longer. */
export function needsOf(plans: Iterable<ViewPlan>): StreamNeed[] {
  const needs = new Map<string, StreamNeed[]>();
  for (const plan of plans) {
    plan.streams.forEach(({ definition }, index) => {
      const need = needOf(plan, index);
      const others = needs.get(definition.name) ?? [];
      // A stream that was defined anew while it had no event: the first plan is the one that goes on.
      if (others.some((other) => !readsSameEvents(other.definition, definition))) return;
      const same = others.findIndex((other) => other.definition.retention === definition.retention);
      if (same < 0) others.push(need);
      else others[same] = joinNeeds(others[same] as StreamNeed, need);
      needs.set(definition.name, others);
    });
  }
  return [...needs.values()].flat();
}

export function needOf(plan: ViewPlan, index: number): StreamNeed {
  const stream = plan.streams[index];
  if (!stream) throw new RangeError(`no stream ${index}`);
  const { definition } = stream;
  const read = new Set<number>();
  const folds: FoldNeed[] = [];
  for (const step of plan.steps) {
    if ((step.kind !== 'operator' && step.kind !== 'static') || step.stream !== index) continue;
    if (step.kind === 'static') {
      read.add(step.field);
      continue;
    }
    for (const name of step.feature.inputs) read.add(definition.fields.findIndex((field) => field.name === name));
    for (const field of step.where?.fields ?? []) read.add(field);
    const { tiles } = step.operator;
    if (tiles) folds.push({ step, tiles, ...(step.where && { test: new EventTest(step.where) }) });
  }
  return {
    definition,
    kept: definition.fields.map((_, i) => read.has(i)),
    history: Math.max(1, stream.history),
    span: stream.span,
    folds,
  };
}

/** A state that was made for `held` has all that `asked` asks. */
export function covers(held: StreamNeed, asked: StreamNeed): boolean {
  return (
    readsSameEvents(held.definition, asked.definition) &&
    held.definition.retention === asked.definition.retention &&
    held.history >= asked.history &&
    held.span >= asked.span &&
    asked.kept.every((kept, i) => !kept || held.kept[i] === true) &&
    asked.folds.every(({ step }) => held.folds.some((fold) => fold.step === step))
  );
}

/** What a plan of before had kept is so much more than is asked now that states are better made anew, smaller. */
export function isFarAbove(held: StreamNeed, asked: StreamNeed): boolean {
  return (
    wordsOf(held) > 2 * wordsOf(asked) + FEW_WORDS ||
    held.span > 2 * asked.span ||
    held.folds.length > 2 * asked.folds.length
  );
}

/** Of the events that are kept by their number: time, arrival, id and fields. */
function wordsOf({ history, kept }: StreamNeed): number {
  return history * (4 + kept.filter(Boolean).length);
}

/** Of one retention. Versions of a stream differ by fields added at the end, so the definition with more of them reads the events of both. */
function joinNeeds(a: StreamNeed, b: StreamNeed): StreamNeed {
  const definition = a.definition.fields.length >= b.definition.fields.length ? a.definition : b.definition;
  return {
    definition,
    kept: definition.fields.map((_, i) => a.kept[i] === true || b.kept[i] === true),
    history: Math.max(a.history, b.history),
    span: Math.max(a.span, b.span),
    folds: [...a.folds, ...b.folds],
  };
}

/** The oldest time that a read at `at` needs beyond the newest events; undefined where events by count say it all. */
export function sinceOf(need: StreamNeed, at: Micros): Micros | undefined {
  let since = need.span > 0 ? at - need.span + 1 : Number.POSITIVE_INFINITY;
  for (const { tiles } of need.folds) since = Math.min(since, Math.floor((at - tiles.span) / tiles.tile) * tiles.tile);
  return Number.isFinite(since) ? since : undefined;
}
