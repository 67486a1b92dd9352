// Hot: hears of every read of now.
import type { Frame } from '../engine/frame';
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
/** The same frame is mostly served many times: it is counted for so long, and its values looked at once. Ages are as exact as this. */
const COUNTED_FOR = MICROS_PER_SECOND / 4;
const COUNTED_MAX = 1024;

interface Line extends ProfileLine {
  readonly slot: number;
}

/** A frame that was served so many times since the counting began. */
interface Counted {
  readonly lines: readonly Line[];
  times: number;
  /** Of all times together, since the counting began. */
  elapsed: Micros;
}

interface Minute {
  readonly start: Micros;
  readonly lines: Map<Program, readonly Line[]>;
  features: number;
  bytes: number;
}

/** Profiles of what was served, by the minute, for the last hour. */
export class FeatureQuality {
  private readonly minutes: Minute[] = [];
  private readonly counted = new Map<Frame, Counted>();
  private countedSince: Micros = Number.NaN;

  observe(programs: readonly Program[], { at, frames }: Pick<OnlineAnswer, 'at' | 'frames'>): void {
    const minute = this.minuteOf(at);
    if (!(at - this.countedSince < COUNTED_FOR) || this.counted.size >= COUNTED_MAX) this.settle(at);
    for (let i = 0; i < programs.length; i++) {
      const lines = linesOf(minute, programs[i] as Program);
      if (lines.length === 0) continue;
      const stride = Math.max(1, Math.ceil((frames.length * lines.length) / SAMPLED));
      for (let row = 0; row < frames.length; row += stride) {
        const frame = frames[row]?.[i];
        if (frame) this.countFrame(frame, lines, at);
      }
    }
  }

  private countFrame(frame: Frame, lines: readonly Line[], at: Micros): void {
    const known = this.counted.get(frame);
    if (known) {
      known.times += 1;
      known.elapsed += at - this.countedSince;
    } else this.counted.set(frame, { lines, times: 1, elapsed: at - this.countedSince });
  }

  /** Puts what was counted into the profiles, and begins anew. */
  private settle(at: Micros): void {
    for (const [frame, { lines, times, elapsed }] of this.counted) {
      const mean = this.countedSince + elapsed / times;
      for (const { slot, profile } of lines) {
        const age = mean - (frame.times[slot] as Micros);
        profile.add(frame.values[slot] as FeatureValue, frame.statuses[slot] as ValueStatus, age, times);
      }
    }
    this.counted.clear();
    this.countedSince = at;
  }

  /** What was served since, merged. */
  since(from: Micros, view?: string): ProfileLines {
    this.settle(this.countedSince);
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
    this.settle(at);
    if (last) last.bytes = bytesOf(last);
    const minute: Minute = { start, lines: new Map(), features: 0, bytes: 0 };
    this.minutes.push(minute);
    let bytes = this.minutes.reduce((sum, one) => sum + one.bytes, 0);
    while (this.minutes.length > MINUTES || (bytes > MAX_BYTES && this.minutes.length > 1))
      bytes -= this.minutes.shift()?.bytes ?? 0;
    return minute;
  }
}

function linesOf(minute: Minute, program: Program): readonly Line[] {
  const known = minute.lines.get(program);
  if (known) return known;
  const { view } = program.plan;
  const slots = minute.features + program.slots.size > FEATURES_MAX ? [] : [...program.slots];
  const lines = slots.map(([feature, slot]): Line => ({ view, feature, slot, profile: new FeatureProfile() }));
  minute.features += lines.length;
  minute.lines.set(program, lines);
  return lines;
}

function bytesOf({ lines }: Minute): number {
  let bytes = 0;
  for (const ofView of lines.values()) for (const { profile } of ofView) bytes += profile.bytes;
  return bytes;
}
