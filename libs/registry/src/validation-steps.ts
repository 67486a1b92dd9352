import type { TrialPhase } from '@sibyl/inference';
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

  list(): ValidationStep[] {
    return NAMES.map((name) => this.done.get(name) ?? { name, skipped: 'a step before it failed', durationMs: 0 });
  }
}

function rounded(ms: number): number {
  return Math.round(ms * 10) / 10;
}
