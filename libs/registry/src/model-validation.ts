import { DomainError, timestamp, type Clock, type FieldFault } from '@sibyl/kernel';
import type { ModelRuntime, TrialReport } from '@sibyl/inference';
import type { ModelSignature, Tensor, TensorSpec } from '@sibyl/protocol';
import { repeatProbes, unlikeOutputs } from './determinism';
import { compareGolden, type GoldenResult } from './golden-compare';
import { featureSetNotes, type FindFeatureSet, type FoundFeatureSet } from './feature-set-pins';
import { GOLDEN_FILE } from './golden-reader';
import { observedFaults } from './manifest-signature';
import type { MetricJudgement, MetricVerdict } from './metric-judgement';
import type { TrialFacts, ValidationReport } from './model-version';
import { observeOutputs, widenedSignature } from './observed-outputs';
import type { PackageContents } from './package-reader';
import { MODEL_FILE } from './package-source';
import type { OnProgress } from './progress';
import type { RegistryOptions } from './registry-options';
import { emptyProbe, madeUpProbe, rowBatches, rowProbes, rowsAreIndependent } from './row-independence';
import { findingsOf, goldenFault, notesOf, rowNotes } from './validation-notes';
import { phaseBegins, stepBegins, ValidationSteps } from './validation-steps';

/** A report, and the signature that the version gets if it passed. */
export interface Validation {
  readonly report: ValidationReport;
  readonly signature: ModelSignature;
  /** What was published of the feature set that the manifest names. */
  readonly featureSet?: FoundFeatureSet | undefined;
}

/** Who waits for a validation. */
export interface ValidationCall {
  /** What the scan took, which came before. */
  readonly scanMs?: number;
  readonly onProgress?: OnProgress | undefined;
  /** Stops the trial. */
  readonly signal?: AbortSignal | undefined;
  /** The version of a feature set that stays, whatever its name means now. */
  readonly featureSet?: string | undefined;
}

export interface ValidationParts {
  readonly runtime: ModelRuntime;
  readonly clock: Clock;
  readonly options: Pick<RegistryOptions, 'validationMs' | 'missesListed'>;
  readonly metrics: MetricJudgement;
  /** Absent: nobody knows of feature sets. */
  readonly featureSets?: FindFeatureSet | undefined;
}

interface Found {
  readonly trial?: TrialFacts;
  readonly golden?: GoldenResult;
  readonly metrics?: MetricVerdict;
  readonly featureSet?: FoundFeatureSet | undefined;
}

/** Rows of the batches that are timed: one, a few, and what a busy server runs together. */
const BATCH_ROWS = [1, 8, 32];

/** Tries a scanned model in a throwaway runner, replays its golden samples, and holds its metrics to its policy. */
export class ModelValidation {
  constructor(private readonly parts: ValidationParts) {}

  /** Tries `file`. What the model does wrong is in the report; only what keeps us from trying it is thrown. */
  async run(contents: PackageContents, file: string, digest: string, call: ValidationCall = {}): Promise<Validation> {
    const steps = new ValidationSteps();
    steps.add('scan', true, call.scanMs ?? 0);
    const plan = planOf(contents);
    try {
      const trial = await this.trial(file, digest, plan, call);
      stepBegins(call.onProgress, 'metrics');
      const begun = this.parts.clock.monotonic();
      const metrics = await this.parts.metrics.of(contents.manifest);
      const metricsMs = this.parts.clock.monotonic() - begun;
      if (metrics.asked) steps.add('metrics', metrics.faults.length === 0, metricsMs);
      else steps.skip('metrics', 'the policy of the model has no rules for metrics', metricsMs);
      const featureSet = await this.featureSet(contents, call);
      return this.judge(contents, { trial, plan, metrics, featureSet }, steps);
    } catch (error) {
      if (!(error instanceof DomainError && error.code === 'model_rejected')) throw error;
      const loads = { pointer: `/${MODEL_FILE}`, expected: 'a model that loads and runs', received: error.detail };
      const reasons = error.faults?.length ? error.faults : [loads];
      steps.add(reasons.every(({ pointer }) => pointer.startsWith(`/${GOLDEN_FILE}`)) ? 'golden' : 'load', false, 0);
      return { report: this.report(contents, reasons, {}, steps), signature: contents.signature };
    }
  }

  private trial(
    file: string,
    digest: string,
    plan: Plan,
    { signal, onProgress }: ValidationCall,
  ): Promise<TrialReport> {
    const { runtime, options } = this.parts;
    const limits = { limitMs: options.validationMs, onPhase: phaseBegins(onProgress), ...(signal ? { signal } : {}) };
    return runtime.trial({ key: digest, path: file }, plan.runs, limits);
  }

  private async featureSet(contents: PackageContents, call: ValidationCall): Promise<FoundFeatureSet | undefined> {
    const named = call.featureSet ?? contents.manifest.featureSet;
    return named === undefined ? undefined : this.parts.featureSets?.(contents, named);
  }

  private judge(
    contents: PackageContents,
    { trial, plan, metrics, featureSet }: Tried,
    steps: ValidationSteps,
  ): Validation {
    const { clock, options } = this.parts;
    const observed = observeOutputs(trial.outputs);
    const shapes = observedFaults(contents.manifest, observed);
    const begun = clock.monotonic();
    const golden = contents.golden && compareGolden(contents.golden, trial.outputs, options.missesListed);
    const goldenMs = trial.phaseMs.samples + clock.monotonic() - begun;
    const unlike = unlikeOutputs(plan.repeats.first(trial), trial.probes.slice(plan.rowRuns));
    const rowsIndependent = plan.rows && rowsAreIndependent(plan.rows, trial.probes);
    const batches = trial.batches.filter((figures) => figures !== undefined);
    const tried = { golden, goldenMs, unlike, rowsIndependent, batches: batches.length };
    steps.addTrial(trial.phaseMs, { ...tried, shapesFit: shapes.length === 0 });
    const facts: TrialFacts = {
      ...runFacts(trial),
      observedOutputs: observed,
      ...(rowsIndependent === undefined ? {} : { rowsIndependent }),
      ...(plan.runs.last === undefined ? {} : { answersNoRows: trial.last !== undefined }),
      ...(unlike === undefined ? {} : { deterministic: unlike.length === 0 }),
      ...(batches.length === 0 ? {} : { batches }),
    };
    const misses = golden?.misses.map(goldenFault) ?? [];
    const reasons = [...shapes, ...misses, ...(unlike ?? []).map(unlikeFault), ...metrics.faults];
    const found = { trial: facts, metrics, featureSet, ...(golden ? { golden } : {}) };
    const shown = observed.length > 0 ? observed : observeMadeUp(contents.signature, trial);
    const signature = widenedSignature(contents.signature, shown);
    return { report: this.report(contents, reasons, found, steps), signature, featureSet };
  }

  private report(
    contents: PackageContents,
    reasons: readonly FieldFault[],
    found: Found,
    steps: ValidationSteps,
  ): ValidationReport {
    const { golden, ignoredFiles } = contents;
    const { source, tolerance } = golden ?? {};
    return {
      passed: reasons.length === 0,
      checkedAt: timestamp(this.parts.clock.now()),
      reasons,
      notes: [
        ...notesOf(contents, found.golden?.skipped ?? 0),
        ...rowNotes(found.trial),
        ...featureSetNotes(contents.manifest.featureSet, found.featureSet),
      ],
      steps: steps.list(),
      findings: findingsOf(found.trial, found.golden, found.featureSet?.reference),
      ...(found.metrics ? { policyRevision: found.metrics.policyRevision } : {}),
      ...(found.trial ? { trial: found.trial } : {}),
      ...(found.golden && tolerance
        ? { golden: { ...(source === undefined ? {} : { source }), tolerance, ...found.golden } }
        : {}),
      ignoredFiles,
    };
  }
}

/** Without samples, rows that were made up show what outputs really are, where nothing but their number was. */
function observeMadeUp({ inputs }: ModelSignature, { probes }: TrialReport): readonly TensorSpec[] {
  if (!inputs.every(({ shape }) => shape?.slice(1).every((size) => size > 0))) return [];
  return observeOutputs(probes.flatMap((outputs) => (outputs ? [outputs] : [])));
}

interface Tried {
  readonly trial: TrialReport;
  readonly plan: Plan;
  readonly metrics: MetricVerdict;
  readonly featureSet: FoundFeatureSet | undefined;
}

type Plan = ReturnType<typeof planOf>;

/** The runs of a trial: samples, rows alone and together, some of them again, batches, and at last a run without rows. */
function planOf({ golden, signature }: PackageContents) {
  const samples = (golden?.samples ?? []).map((sample) => sample.inputs);
  const rows = rowProbes(signature, samples);
  // Nothing is served that has never run: without samples and rows, an input that is made up shows at least what it takes.
  const once = rows || samples.length > 0 ? undefined : madeUpProbe(signature);
  const rowRuns: (readonly Tensor[])[] = rows ? [...rows.alone, rows.together] : once ? [once] : [];
  const repeats = repeatProbes(samples, rowRuns);
  const last = emptyProbe(signature);
  const batches = rows ? rowBatches(rows, BATCH_ROWS) : [];
  const runs = { samples, probes: [...rowRuns, ...repeats.inputs], batches, ...(last ? { last } : {}) };
  return { rows, rowRuns: rowRuns.length, repeats, runs };
}

function runFacts(trial: TrialReport): Omit<TrialFacts, 'observedOutputs'> {
  const { provider, loadMs, loadCpuMs, memoryBytes } = trial;
  const durations = [...trial.durationsMs].sort((a, b) => a - b);
  const median = durations[Math.floor(durations.length / 2)];
  return { provider, loadMs, loadCpuMs, memoryBytes, ...(median === undefined ? {} : { medianRunMs: median }) };
}

function unlikeFault(output: string): FieldFault {
  return {
    pointer: `/${MODEL_FILE}`,
    expected: 'the same bytes for the same input',
    received: `other ones in '${output}'`,
  };
}
