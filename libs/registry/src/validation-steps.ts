import type { TrialPhase } from '@sibyl/inference';
import type { GoldenResult } from './golden-compare';
import type { StepName, ValidationStep } from './model-version';
import type { OnProgress } from './progress';

const NAMES: readonly StepName[] = ['scan', 'load', 'signature', 'golden', 'determinism', 'rows', 'latency', 'metrics'];

/** The step that a phase of the trial begins: rows and determinism share their runs. */
const BEGINS: Readonly<Record<TrialPhase, StepName>> = {
  load: 'load',
  samples: 'golden',
  probes: 'determinism',
  batches: 'latency',
};

/** What a trial was found to do, as far as its steps need to know. */
interface TriedSteps {
  readonly shapesFit: boolean;
  readonly golden: GoldenResult | undefined;
  readonly goldenMs: number;
  readonly unlike: readonly string[] | undefined;
  readonly rowsIndependent: boolean | undefined;
  readonly batches: number;
}

/** Says which step of a validation begins. */
export function stepBegins(onProgress: OnProgress | undefined, step: StepName): void {
  onProgress?.(NAMES.indexOf(step), NAMES.length, step);
}

export function phaseBegins(onProgress: OnProgress | undefined): (phase: TrialPhase) => void {
  return (phase) => stepBegins(onProgress, BEGINS[phase]);
}

/** Gathers what became of each step; those that nobody came to are listed as not done. */
export class ValidationSteps {
  private readonly done = new Map<StepName, ValidationStep>();

  add(name: StepName, passed: boolean, durationMs: number): void {
    this.done.set(name, { name, passed, durationMs: rounded(durationMs) });
  }

  skip(name: StepName, skipped: string, durationMs = 0): void {
    this.done.set(name, { name, skipped, durationMs: rounded(durationMs) });
  }

  /** What the trial came to. Rows and determinism share the time of the probes. */
  addTrial(phaseMs: Readonly<Record<TrialPhase, number>>, tried: TriedSteps): void {
    const { golden, goldenMs, unlike, rowsIndependent, batches } = tried;
    const probesMs = phaseMs.probes / 2;
    this.add('load', true, phaseMs.load);
    this.add('signature', tried.shapesFit, 0);
    if (golden && golden.compared > 0) this.add('golden', golden.missCount === 0, goldenMs);
    else this.skip('golden', 'no golden sample holds an output to compare', goldenMs);
    if (unlike) this.add('determinism', unlike.length === 0, probesMs);
    else this.skip('determinism', 'no run could be repeated', probesMs);
    // A finding and no fault: where rows depend on each other, predictions are not run together.
    if (rowsIndependent !== undefined) this.add('rows', true, probesMs);
    else this.skip('rows', 'its rows could not be told apart or run', probesMs);
    if (batches > 0) this.add('latency', true, phaseMs.batches);
    else this.skip('latency', 'it does not take batches of any number of rows', phaseMs.batches);
  }

  list(): ValidationStep[] {
    return NAMES.map((name) => this.done.get(name) ?? { name, skipped: 'a step before it failed', durationMs: 0 });
  }
}

function rounded(ms: number): number {
  return Math.round(ms * 10) / 10;
}
