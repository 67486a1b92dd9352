import type { TensorSpec } from '@sibyl/protocol';
import type { CallerFeature, CallerInput, Changed, NamedChanges, VersionDiff } from '@sibyl/registry';

type View = Record<string, unknown>;

/** How a version differs from another, for whoever decides about its promotion. */
export function toDiffView(diff: VersionDiff): View {
  const { from, to, breaking, size, cost, golden } = diff;
  return {
    name: to.model,
    version: to.version,
    against: from.version,
    digest: { from: from.digest, to: to.digest, same: from.digest === to.digest },
    status: { from: from.status, to: to.status },
    breaking,
    signature: {
      inputs: toChangesView(diff.inputs, toTensorView),
      outputs: toChangesView(diff.outputs, toTensorView),
    },
    features: toChangesView(diff.features, toFeatureView),
    answers: toValuesView(diff.answers, snakeName),
    metrics: toValuesView(diff.metrics, (name) => name),
    size: { package_bytes: toChangeView(size.packageBytes), model_bytes: toChangeView(size.modelBytes) },
    latency: {
      median_run_ms: toChangeView(cost.medianRunMs),
      load_ms: toChangeView(cost.loadMs),
      batches: cost.batchMs.map(({ rows, ...ms }) => ({ rows, median_ms: toChangeView(ms) })),
    },
    memory_bytes: toChangeView(cost.memoryBytes),
    golden: {
      method: golden.method,
      compared: golden.compared,
      skipped: golden.skipped,
      differing: golden.differing,
      outputs: golden.outputs.map(({ name, values, differing, largestDifference }) => {
        return { name, values, differing, largest_difference: largestDifference };
      }),
      examples: golden.examples,
      ...(golden.reason === undefined ? {} : { reason: golden.reason }),
    },
  };
}

function toChangesView<T>({ added, removed, changed }: NamedChanges<T>, toView: (item: T) => View): View {
  return {
    added: added.map(toView),
    removed: removed.map(toView),
    changed: changed.map(({ name, from, to }) => ({ name, from: toView(from), to: toView(to) })),
  };
}

function toTensorView({ name, datatype, shape, columns }: TensorSpec & Pick<CallerInput, 'columns'>): View {
  return { name, datatype, ...(shape ? { shape } : {}), ...(columns ? { columns } : {}) };
}

function toFeatureView({ defaultValue, ...feature }: CallerFeature): View {
  return { ...feature, ...(defaultValue === undefined ? {} : { default: defaultValue }) };
}

function toValuesView(changes: Readonly<Record<string, Changed<unknown>>>, nameOf: (name: string) => string): View {
  return Object.fromEntries(Object.entries(changes).map(([name, change]) => [nameOf(name), toChangeView(change)]));
}

/** What is not known on one side is null. */
function toChangeView({ from, to, difference }: Changed<unknown>): View {
  return { from: from ?? null, to: to ?? null, ...(difference === undefined ? {} : { difference }) };
}

function snakeName(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
