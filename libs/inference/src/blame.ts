import { DomainError } from '@sibyl/kernel';
import type { RunnerEnd } from './runner';

/**
 * Signals by which a process ends through what it does itself. Others are sent, by the kernel's OOM killer for one; SIGBUS comes
 * of a mapped file that somebody has cut short.
 */
const OWN_SIGNALS = new Set(['SIGABRT', 'SIGFPE', 'SIGILL', 'SIGSEGV', 'SIGSYS', 'SIGTRAP']);
/**
 * Parts into which a batch that lost its runner is split. A part that runs costs less than a millisecond as a rule, a lost
 * runner a hundred and more: with halves a culprit among 64 would cost seven runners, with eighths it costs three.
 */
const PARTS = 8;

/** Those of whom at least one is to blame for a runner that was lost. */
export interface Suspected {
  /** Whether one more loss shows one more culprit. */
  showsAnother(): boolean;
}

/** The requests of a batch that lost its runner. */
export class Suspects implements Suspected {
  /** `explained`: the loss is counted as that of one culprit, so that the next one in a part of it says nothing new. */
  constructor(private explained: boolean) {}

  showsAnother(): boolean {
    if (!this.explained) return true;
    this.explained = false;
    return false;
  }
}

/** The pieces of one request: however many runners they cost, there is one culprit. */
export class OneCulprit implements Suspected {
  private found = false;

  showsAnother(): boolean {
    if (this.found) return false;
    this.found = true;
    return true;
  }
}

/**
 * Whether somebody else may have ended the runner: a signal that was sent to it, or memory that other models took. Then a
 * request that was alone is tried once more before it is blamed.
 */
export function mayComeFromOutside({ reason, signal }: RunnerEnd): boolean {
  if (reason === 'crashed') return signal !== null && !OWN_SIGNALS.has(signal);
  return reason === 'memory' || reason === 'stopped';
}

/** What a batch runs as after its runner was lost: eighths, or each by itself where there is no time for that. */
export function partsOf<T>(entries: readonly T[], partFits: boolean): T[][] {
  const size = partFits ? Math.ceil(entries.length / PARTS) : 1;
  const parts: T[][] = [];
  for (let at = 0; at < entries.length; at += size) parts.push(entries.slice(at, at + size));
  return parts;
}

/** What a request is told that lost its runner by itself. */
export function blamed(end: RunnerEnd): DomainError {
  const cause = new Error(`${end.reason}, code ${end.code ?? '-'}, signal ${end.signal ?? '-'}: ${end.stderr}`);
  if (end.reason === 'protocol') {
    return new DomainError('model_not_ready', 'The process that ran the model answered what cannot be read, twice.', {
      cause,
    });
  }
  // Its own deadline may be far away still.
  if (end.reason === 'overran') {
    const detail = 'The model was still at work at the limit of one run, and its process was ended.';
    return new DomainError('deadline_exceeded', detail, { cause });
  }
  const detail =
    end.reason === 'memory'
      ? 'On these inputs the model takes more memory than its process may use, which was ended.'
      : 'The process that ran the model ended on these inputs.';
  return new DomainError('model_crashed_on_input', detail, { cause });
}
