import type { FeatureValue, ValueStatus } from '../feature-value';
import type { Computed } from './operator';

/** Room for what an operator of `width` outputs comes to. */
export function computed(width: number): Computed {
  return { values: new Array<FeatureValue>(width).fill(null), status: 'NULL', have: 0, need: 0 };
}

/** The only output is this number, or NON_FINITE. */
export function setNumber(out: Computed, value: number): void {
  if (!Number.isFinite(value)) return setNothing(out, 'NON_FINITE');
  out.values[0] = value;
  out.status = 'PRESENT';
}

/** The only output is what an event said; null is NULL. */
export function setValue(out: Computed, value: FeatureValue): void {
  out.values[0] = value;
  out.status = value === null ? 'NULL' : 'PRESENT';
}

/** Checks what was written into all outputs: one number that is not finite makes the whole NON_FINITE. */
export function settle(out: Computed): void {
  for (const value of out.values) {
    if (typeof value === 'number' && !Number.isFinite(value)) return setNothing(out, 'NON_FINITE');
  }
  out.status = 'PRESENT';
}

export function setNothing(out: Computed, status: ValueStatus): void {
  out.values.fill(null);
  out.status = status;
}

export function setWarmingUp(out: Computed, have: number, need: number): void {
  setNothing(out, 'WARMING_UP');
  out.have = have;
  out.need = need;
}
