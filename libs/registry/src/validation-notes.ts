import { createHash } from 'node:crypto';
import type { FieldFault } from '@sibyl/kernel';
import type { GoldenResult } from './golden-compare';
import { GOLDEN_FILE } from './golden-reader';
import type { TrialFacts } from './model-version';
import type { PackageContents } from './package-reader';

export function goldenFault(miss: GoldenResult['misses'][number]): FieldFault {
  const element = miss.index === undefined ? '' : `/${miss.index}`;
  return {
    pointer: `/${GOLDEN_FILE}/samples/${miss.sample}/outputs/${miss.tensor}${element}`,
    expected: miss.expected,
    received: miss.got,
    ...(miss.difference === undefined ? {} : { hint: `difference ${miss.difference}` }),
  };
}

/** What a reader should know of golden samples that could not be compared. */
export function notesOf({ golden }: PackageContents, skipped: number): string[] {
  const alone = 'the version was validated by its load and its signature alone.';
  if (!golden) return [`The package has no golden samples: ${alone}`];
  const all = golden.samples.length + golden.skipped;
  if (all === skipped) return [`No golden sample holds an output of the model to compare: ${alone}`];
  return skipped > 0 ? [`${skipped} of ${all} golden samples hold no output of the model to compare.`] : [];
}

export function rowNotes(trial: TrialFacts | undefined): string[] {
  if (trial === undefined || trial.rowsIndependent === true) return [];
  const why =
    trial.rowsIndependent === false
      ? 'The answer for a row depends on the rows beside it'
      : 'It could not be shown that the answer for a row does not depend on the rows beside it';
  return [`${why}: predictions are never run together.`];
}

/** Times and memory differ from one validation to the next, and rules of a policy are checked again at each promotion. */
export function findingsOf(
  trial: TrialFacts | undefined,
  golden: GoldenResult | undefined,
  featureSet: string | undefined,
): string {
  const { provider, observedOutputs, rowsIndependent, answersNoRows, deterministic } = trial ?? {};
  const { compared, skipped, missCount } = golden ?? {};
  const found = [
    provider,
    observedOutputs,
    rowsIndependent,
    answersNoRows,
    deterministic,
    compared,
    skipped,
    missCount,
    ...(featureSet === undefined ? [] : [featureSet]),
  ];
  return `sha256:${createHash('sha256')
    .update(JSON.stringify(found.map((value) => value ?? null)))
    .digest('hex')}`;
}
