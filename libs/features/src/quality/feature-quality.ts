// Hot: hears of every read of now.
import type { OnlineAnswer } from '../engine/online-query';
import type { Program } from '../engine/program';
import type { FeatureValue, ValueStatus } from '../feature-value';
import { MICROS_PER_SECOND, type Micros } from '../time';
import { FeatureProfile } from './feature-profile';
import { ProfileLines, type ProfileLine } from './profile-line';

const MINUTE = 60 * MICROS_PER_SECOND;
const MINUTES = 60;
/** Of all minutes together; the oldest go first. */
const MAX_BYTES = 32 * 1024 * 1024;
const FEATURES_MAX = 4096;
/** Values of one read that are looked at: of a larger one each row that comes after so many others. */
const SAMPLED = 500;

interface Minute {
  readonly start: Micros;
  readonly lines: Map<Program, readonly ProfileLine[]>;
  features: number;
  bytes: number;
}

/** Profiles of what was served, by the minute, for the last hour. */
export class FeatureQuality {
  private readonly minutes: Minute[] = [];

  observe(programs: readonly Program[], { at, frames }: Pick<OnlineAnswer, 'at' | 'frames'>): void {
    const minute = this.minuteOf(at);
    for (const [i, program] of programs.entries()) {
      const lines = linesOf(minute, program);
      if (lines.length === 0) continue;
      const stride = Math.max(1, Math.ceil((frames.length * lines.length) / SAMPLED));
      const slots = [...program.slots.values()];
      for (let row = 0; row < frames.length; row += stride) {
        const frame = frames[row]?.[i];
        if (!frame) continue;
        for (const [n, slot] of slots.entries()) {
          const age = at - (frame.times[slot] as Micros);
          lines[n]?.profile.add(frame.values[slot] as FeatureValue, frame.statuses[slot] as ValueStatus, age);
        }
      }
    }
  }

  /** What was served since, merged. */
  since(from: Micros, view?: string): ProfileLines {
    const merged = new ProfileLines();
    for (const { start, lines } of this.minutes) {
      if (start + MINUTE <= from) continue;
      for (const ofView of lines.values())
        for (const line of ofView) if (view === undefined || line.view.name === view) merged.merge(line);
    }
    return merged;
  }

  private minuteOf(at: Micros): Minute {
    const start = Math.floor(at / MINUTE) * MINUTE;
    const last = this.minutes.at(-1);
    // A clock that was set back goes on in the minute that it was.
    if (last && last.start >= start) return last;
    if (last) last.bytes = bytesOf(last);
    const minute: Minute = { start, lines: new Map(), features: 0, bytes: 0 };
    this.minutes.push(minute);
    let bytes = this.minutes.reduce((sum, one) => sum + one.bytes, 0);
    while (this.minutes.length > MINUTES || (bytes > MAX_BYTES && this.minutes.length > 1))
      bytes -= this.minutes.shift()?.bytes ?? 0;
    return minute;
  }
}

function linesOf(minute: Minute, program: Program): readonly ProfileLine[] {
  const known = minute.lines.get(program);
  if (known) return known;
  const { view } = program.plan;
  const names = minute.features + program.slots.size > FEATURES_MAX ? [] : [...program.slots.keys()];
  const lines = names.map((feature): ProfileLine => ({ view, feature, profile: new FeatureProfile() }));
  minute.features += lines.length;
  minute.lines.set(program, lines);
  return lines;
}

function bytesOf({ lines }: Minute): number {
  let bytes = 0;
  for (const ofView of lines.values()) for (const { profile } of ofView) bytes += profile.bytes;
  return bytes;
}
