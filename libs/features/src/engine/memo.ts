import type { FeatureValue, ValueStatus } from '../feature-value';
import { BASIS_BYTES, heldBytes, type Frame } from './frame';
import type { Program, ProgramStep } from './program';
import type { Micros } from '../time';
import { valueBytes } from './value-bytes';

/** Measured: the object and its arrays; a slot with a number of its own; a slot of a frame; a step. */
const MEMO_BYTES = 300;
const SLOT_BYTES = 40;
const STEP_BYTES = 32;

/**
 * What the operators of a plan came to for one entity, each valid for the version of the state, the count of its events that still
 * lay ahead, and the moments at which the same events lie in its window; and the last whole frame.
 */
export class Memo {
  frame: Frame | undefined;
  /** Versions of the states that `frame` was made of. */
  frameVersions: number[] = [];
  bytes: number;
  private readonly ownBytes: number;
  private readonly versions: number[];
  private readonly ahead: number[];
  private readonly from: Micros[];
  private readonly until: Micros[];
  private readonly values: FeatureValue[];
  private readonly statuses: ValueStatus[];

  constructor(private readonly program: Program) {
    const { plan } = program;
    this.versions = plan.steps.map(() => 0);
    this.ahead = plan.steps.map(() => 0);
    this.from = plan.steps.map(() => Number.NaN);
    this.until = plan.steps.map(() => Number.NaN);
    this.values = plan.outputs.map(() => null);
    this.statuses = plan.steps.map((): ValueStatus => 'NULL');
    const ofSlots = plan.outputs.length * 2 * SLOT_BYTES + plan.steps.length * STEP_BYTES;
    this.bytes = this.ownBytes = MEMO_BYTES + ofSlots + plan.streams.length * BASIS_BYTES;
  }

  /** Counts texts and lists too, and what the request of the frame gave. */
  weigh(): void {
    const { frame, values, program } = this;
    let bytes = this.ownBytes + (frame ? heldBytes(frame, program.heavy) : 0);
    for (const slot of program.heavy) {
      const value = values[slot] as FeatureValue;
      if (value !== frame?.values[slot]) bytes += valueBytes(value);
    }
    this.bytes = bytes;
  }

  /** Writes what is known into `out` and `bounds`; false where the state has changed since, or what lies in the window. */
  recall({ index, step, out, bounds }: ProgramStep, version: number, ahead: number, at: Micros): boolean {
    if (this.versions[index] !== version || this.ahead[index] !== ahead) return false;
    const from = this.from[index] as Micros;
    const until = this.until[index] as Micros;
    if (at < from || at >= until) return false;
    bounds.from = from;
    bounds.until = until;
    for (let i = 0; i < step.width; i++) out.values[i] = this.values[step.slot + i] as FeatureValue;
    out.status = this.statuses[index] as ValueStatus;
    return true;
  }

  keep({ index, step, out, bounds }: ProgramStep, version: number, ahead: number): void {
    this.versions[index] = version;
    this.ahead[index] = ahead;
    this.from[index] = bounds.from;
    this.until[index] = bounds.until;
    this.statuses[index] = out.status;
    for (let i = 0; i < step.width; i++) this.values[step.slot + i] = out.values[i] as FeatureValue;
  }
}
