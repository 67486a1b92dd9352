// Hot: runs for every value that is computed or given.
import type { FeatureDefinition } from '../definitions/feature-view';
import type { FeatureValue, ValueStatus } from '../feature-value';
import type { RuleOutcome } from '../rules/rule-set';
import type { Micros } from '../time';
import { emptyWindow } from './empty-window';
import type { Frame } from './frame';
import type { ProgramStep } from './program';

/** Statuses that the default of a definition stands in for. A value that is stale or refused is not hidden by one. */
const DEFAULTED: ReadonlySet<ValueStatus> = new Set<ValueStatus>(['NULL', 'NOT_FOUND', 'WARMING_UP']);

const moment: { at: Micros; eventTime: Micros } = { at: 0, eventTime: 0 };
const momentOfRequest: { at: Micros; given: boolean } = { at: 0, given: false };

/**
 * What becomes of a value that was computed, or given by the request in its stead: windows before the first event, numbers that are
 * none, ttl, rules, default, in this order.
 */
export function settle(frame: Frame, program: ProgramStep, slot: number): void {
  const { step } = program;
  const feature = step.kind === 'moment' ? undefined : step.feature;
  const given = frame.given?.values[slot];
  if (given !== undefined) {
    put(frame, slot, given === null ? 'NULL' : 'PRESENT', given);
    frame.times[slot] = Number.NaN;
    if (given !== null) applyRules(frame, program, slot);
    return;
  }
  if (frame.statuses[slot] === 'NOT_FOUND') beforeFirst(frame, program, slot);
  finite(frame, slot, feature);
  if (isStale(frame, program, slot))
    return put(frame, slot, 'STALE', frame.keepsStale ? (frame.values[slot] as FeatureValue) : null);
  if (frame.statuses[slot] === 'PRESENT') applyRules(frame, program, slot);
  const status = frame.statuses[slot] as ValueStatus;
  if (DEFAULTED.has(status) && feature?.default !== undefined) put(frame, slot, 'DEFAULTED', feature.default);
}

function beforeFirst(frame: Frame, { step, out }: ProgramStep, slot: number): void {
  if (step.kind === 'operator' && emptyWindow(frame, step, out))
    put(frame, slot, out.status, out.values[slot - step.slot] ?? null);
}

function finite(frame: Frame, slot: number, feature: FeatureDefinition | undefined): void {
  const value = frame.values[slot] as FeatureValue;
  if (frame.statuses[slot] === 'PRESENT') {
    if (value === null) put(frame, slot, 'NULL', null);
    else if (typeof value === 'number' && !Number.isFinite(value)) put(frame, slot, 'NON_FINITE', null);
  }
  if (frame.statuses[slot] === 'NON_FINITE' && feature?.onNonFinite === 'default' && feature.default !== undefined) {
    put(frame, slot, 'DEFAULTED', feature.default);
  }
}

function isStale(frame: Frame, { ttl, maxAge }: ProgramStep, slot: number): boolean {
  const time = frame.times[slot] as number;
  if (Number.isNaN(time)) return false;
  if (maxAge !== undefined) isOlder(frame, time + maxAge);
  return ttl !== undefined && isOlder(frame, time + ttl);
}

/** Whether the last moment of something has passed; until it does, or since it did, the frame is valid. */
function isOlder(frame: Frame, last: Micros): boolean {
  if (frame.at <= last) {
    frame.until = Math.min(frame.until, last + 1);
    return false;
  }
  frame.from = Math.max(frame.from, last + 1);
  return true;
}

function applyRules(frame: Frame, { step: { rules } }: ProgramStep, slot: number): void {
  if (!rules) return;
  const value = frame.values[slot] as FeatureValue;
  const time = frame.times[slot] as number;
  let outcome: RuleOutcome;
  if (Number.isNaN(time)) {
    momentOfRequest.at = frame.at;
    momentOfRequest.given = frame.given?.values[slot] !== undefined;
    outcome = rules.apply(value, momentOfRequest);
  } else {
    moment.at = frame.at;
    moment.eventTime = time;
    outcome = rules.apply(value, moment);
  }
  switch (outcome.action) {
    case undefined:
      return;
    case 'reject':
      return put(frame, slot, 'INVALID', null);
    case 'default':
      return put(frame, slot, 'DEFAULTED', outcome.value);
    case 'null':
    case 'clamp':
      return put(frame, slot, outcome.value === null ? 'NULL' : 'PRESENT', outcome.value);
  }
}

function put(frame: Frame, slot: number, status: ValueStatus, value: FeatureValue): void {
  frame.statuses[slot] = status;
  frame.values[slot] = value;
}
