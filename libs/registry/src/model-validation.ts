import { DomainError, timestamp, type Clock, type FieldFault } from '@sibyl/kernel';
import type { ModelRuntime, TrialReport } from '@sibyl/inference';
import type { ModelSignature } from '@sibyl/protocol';
import { compareGolden, type GoldenResult } from './golden-compare';
import { GOLDEN_FILE } from './golden-reader';
import { observedFaults } from './manifest-signature';
import type { TrialFacts, ValidationReport } from './model-version';
import { observeOutputs, widenedSignature } from './observed-outputs';
import type { PackageContents } from './package-reader';
import { MODEL_FILE } from './package-source';
import { emptyProbe, rowProbes, rowsAreIndependent } from './row-independence';
import type { RegistryOptions } from './registry-options';

/** A report, and the signature that the version gets if it passed. */
export interface Validation {
  readonly report: ValidationReport;
  readonly signature: ModelSignature;
}

interface ProbeFindings {
  readonly rowsIndependent: boolean | undefined;
  readonly answersNoRows: boolean | undefined;
}

/** Tries a scanned model in a throwaway runner and replays its golden samples. */
export class ModelValidation {
  constructor(
    private readonly runtime: ModelRuntime,
    private readonly clock: Clock,
    private readonly options: Pick<RegistryOptions, 'validationMs' | 'missesListed'>,
  ) {}

  /** Tries `file`. What the model does wrong is in the report; only what keeps us from trying it is thrown. */
  async run(contents: PackageContents, file: string, digest: string): Promise<Validation> {
    const samples = (contents.golden?.samples ?? []).map((sample) => sample.inputs);
    const rows = rowProbes(contents.signature, samples);
    const empty = emptyProbe(contents.signature);
    // The empty one last: a process that it ends runs no other.
    const probes = [...(rows ? [...rows.alone, rows.together] : []), ...(empty ? [empty] : [])];
    try {
      const trial = await this.runtime.trial(
        { key: digest, path: file },
        { samples, probes },
        { limitMs: this.options.validationMs },
      );
      return this.judge(contents, trial, {
        rowsIndependent: rows && rowsAreIndependent(rows, trial.probes),
        answersNoRows: empty && trial.probes[probes.length - 1] !== undefined,
      });
    } catch (error) {
      if (!(error instanceof DomainError && error.code === 'model_rejected')) throw error;
      const loads = { pointer: `/${MODEL_FILE}`, expected: 'a model that loads and runs', received: error.detail };
      const reasons = error.faults?.length ? error.faults : [loads];
      return { report: this.report(contents, reasons, {}), signature: contents.signature };
    }
  }

  private judge(contents: PackageContents, trial: TrialReport, found: ProbeFindings): Validation {
    const observed = observeOutputs(trial.outputs);
    const golden = contents.golden && compareGolden(contents.golden, trial.outputs, this.options.missesListed);
    const reasons = [...observedFaults(contents.manifest, observed), ...(golden?.misses.map(asFault) ?? [])];
    const durations = [...trial.durationsMs].sort((a, b) => a - b);
    const median = durations[Math.floor(durations.length / 2)];
    const facts: TrialFacts = {
      provider: trial.provider,
      loadMs: trial.loadMs,
      loadCpuMs: trial.loadCpuMs,
      memoryBytes: trial.memoryBytes,
      ...(median === undefined ? {} : { medianRunMs: median }),
      observedOutputs: observed,
      ...(found.rowsIndependent === undefined ? {} : { rowsIndependent: found.rowsIndependent }),
      ...(found.answersNoRows === undefined ? {} : { answersNoRows: found.answersNoRows }),
    };
    return {
      report: this.report(contents, reasons, { trial: facts, ...(golden ? { golden } : {}) }),
      signature: widenedSignature(
        contents.signature,
        observed.length > 0 ? observed : observeMadeUp(contents.signature, trial),
      ),
    };
  }

  private report(
    contents: PackageContents,
    reasons: readonly FieldFault[],
    found: { readonly trial?: TrialFacts; readonly golden?: GoldenResult },
  ): ValidationReport {
    const { golden, ignoredFiles } = contents;
    const { source, tolerance } = golden ?? {};
    return {
      passed: reasons.length === 0,
      checkedAt: timestamp(this.clock.now()),
      reasons,
      notes: [...notesOf(contents, found.golden?.skipped ?? 0), ...rowNotes(found.trial)],
      ...(found.trial ? { trial: found.trial } : {}),
      ...(found.golden && tolerance
        ? { golden: { ...(source === undefined ? {} : { source }), tolerance, ...found.golden } }
        : {}),
      ignoredFiles,
    };
  }
}

/** Without samples, rows that were made up show what outputs really are, where nothing but their number was. */
function observeMadeUp({ inputs }: ModelSignature, { probes }: TrialReport): ReturnType<typeof observeOutputs> {
  if (!inputs.every(({ shape }) => shape?.slice(1).every((size) => size > 0))) return [];
  return observeOutputs(probes.flatMap((outputs) => (outputs ? [outputs] : [])));
}

function asFault(miss: GoldenResult['misses'][number]): FieldFault {
  const element = miss.index === undefined ? '' : `/${miss.index}`;
  return {
    pointer: `/${GOLDEN_FILE}/samples/${miss.sample}/outputs/${miss.tensor}${element}`,
    expected: miss.expected,
    received: miss.got,
    ...(miss.difference === undefined ? {} : { hint: `difference ${miss.difference}` }),
  };
}

function notesOf({ golden }: PackageContents, skipped: number): string[] {
  const alone = 'the version was validated by its load and its signature alone.';
  if (!golden) return [`The package has no golden samples: ${alone}`];
  const all = golden.samples.length + golden.skipped;
  if (all === skipped) return [`No golden sample holds an output of the model to compare: ${alone}`];
  return skipped > 0 ? [`${skipped} of ${all} golden samples hold no output of the model to compare.`] : [];
}

function rowNotes(trial: TrialFacts | undefined): string[] {
  if (trial === undefined || trial.rowsIndependent === true) return [];
  const why =
    trial.rowsIndependent === false
      ? 'The answer for a row depends on the rows beside it'
      : 'It could not be shown that the answer for a row does not depend on the rows beside it';
  return [`${why}: predictions are never run together.`];
}
