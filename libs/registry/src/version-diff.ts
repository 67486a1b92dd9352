import type { FieldFault } from '@sibyl/kernel';
import { breakingChanges } from './breaking-changes';
import { callerContract, type CallerFeature, type CallerInput } from './caller-contract';
import type { GoldenDifference } from './golden-difference';
import type { ModelVersion, TrialFacts } from './model-version';
import type { TensorSpec } from '@sibyl/protocol';

/** What a version has that another has not, by name. */
export interface NamedChanges<T> {
  readonly added: readonly T[];
  readonly removed: readonly T[];
  readonly changed: readonly { readonly name: string; readonly from: T; readonly to: T }[];
}

/** Two values of one kind; `difference` where both are numbers. */
export interface Changed<T> {
  readonly from: T | undefined;
  readonly to: T | undefined;
  readonly difference?: number;
}

type Batches = NonNullable<TrialFacts['batches']>;

/** How a version differs from another, for whoever decides about its promotion. */
export interface VersionDiff {
  readonly from: ModelVersion;
  readonly to: ModelVersion;
  /** In what a promotion would break callers of `from`. */
  readonly breaking: readonly FieldFault[];
  readonly inputs: NamedChanges<CallerInput>;
  readonly outputs: NamedChanges<TensorSpec>;
  readonly features: NamedChanges<CallerFeature>;
  /** Task, feature set, classes and members of the decision that differ. */
  readonly answers: Readonly<Record<string, Changed<unknown>>>;
  readonly metrics: Readonly<Record<string, Changed<unknown>>>;
  readonly size: { readonly packageBytes: Changed<number>; readonly modelBytes: Changed<number> };
  /** As the trial of each validation measured it. */
  readonly cost: {
    readonly medianRunMs: Changed<number>;
    readonly loadMs: Changed<number>;
    readonly memoryBytes: Changed<number>;
    /** Median milliseconds of a batch, by its rows. */
    readonly batchMs: readonly ({ readonly rows: number } & Changed<number>)[];
  };
  readonly golden: GoldenDifference;
}

/** Compares two versions by what is stored of them; `golden` comes from a replay. */
export function diffVersions(from: ModelVersion, to: ModelVersion, golden: GoldenDifference): VersionDiff {
  const [before, after] = [callerContract(from), callerContract(to)];
  const [old, present] = [from.report?.trial, to.report?.trial];
  return {
    ...{ from, to, golden },
    breaking: breakingChanges(before, after),
    inputs: named(before.inputs, after.inputs),
    outputs: named(before.outputs, after.outputs),
    features: named(before.features, after.features),
    answers: changes(
      {
        task: before.task,
        featureSet: from.featureSet ?? from.manifest.featureSet,
        classes: before.classes,
        ...before.decision,
      },
      {
        task: after.task,
        featureSet: to.featureSet ?? to.manifest.featureSet,
        classes: after.classes,
        ...after.decision,
      },
      false,
    ),
    metrics: changes(from.manifest.metrics, to.manifest.metrics, true),
    size: {
      packageBytes: changed(packageBytes(from), packageBytes(to)),
      modelBytes: changed(modelBytes(from), modelBytes(to)),
    },
    cost: {
      medianRunMs: changed(old?.medianRunMs, present?.medianRunMs),
      loadMs: changed(old?.loadMs, present?.loadMs),
      memoryBytes: changed(old?.memoryBytes, present?.memoryBytes),
      batchMs: batchChanges(old?.batches ?? [], present?.batches ?? []),
    },
  };
}

function named<T extends { readonly name: string }>(from: readonly T[], to: readonly T[]): NamedChanges<T> {
  const find = (list: readonly T[], name: string): T | undefined => list.find((item) => item.name === name);
  return {
    added: to.filter(({ name }) => !find(from, name)),
    removed: from.filter(({ name }) => !find(to, name)),
    changed: from.flatMap((old) => {
      const present = find(to, old.name);
      return present && !same(old, present) ? [{ name: old.name, from: old, to: present }] : [];
    }),
  };
}

function changes(
  from: Readonly<Record<string, unknown>>,
  to: Readonly<Record<string, unknown>>,
  unchangedToo: boolean,
): Record<string, Changed<unknown>> {
  const names = [...new Set([...Object.keys(from), ...Object.keys(to)])];
  const entries = names.map((name) => [name, changed(from[name], to[name])] as const);
  return Object.fromEntries(entries.filter(([, { from: a, to: b }]) => unchangedToo || !same(a, b)));
}

function changed<T>(from: T | undefined, to: T | undefined): Changed<T> {
  const numbers = typeof from === 'number' && typeof to === 'number';
  return numbers ? { from, to, difference: to - from } : { from, to };
}

function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function batchChanges(from: Batches, to: Batches): VersionDiff['cost']['batchMs'] {
  const sizes = [...new Set([...from, ...to].map(({ rows }) => rows))].sort((a, b) => a - b);
  const msOf = (batches: Batches, size: number) => batches.find(({ rows }) => rows === size)?.medianMs;
  return sizes.map((rows) => ({ rows, ...changed(msOf(from, rows), msOf(to, rows)) }));
}

function packageBytes({ files }: Pick<ModelVersion, 'files'>): number {
  return files.reduce((sum, file) => sum + file.bytes, 0);
}

/** The model file and the weights beside it. */
function modelBytes({ files }: ModelVersion): number {
  return packageBytes({ files: files.filter((file) => !file.path.endsWith('.json')) });
}
