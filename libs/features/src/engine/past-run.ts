import { TURNS } from '@sibyl/kernel';
import type { EntityState } from './entity-state';
import { evaluate } from './evaluate';
import type { Frame, Given } from './frame';
import { Memo } from './memo';
import type { PastMoment } from './online-query';
import { knowledgeOf, PastWalk } from './past-walk';
import type { Program } from './program';
import type { StreamNeed } from './stream-need';
import type { Micros } from '../time';
import { keepsVectors, recallFrame, rememberFrame } from './vectors';

/** One row of one view. */
export interface Job {
  readonly row: number;
  readonly moment: PastMoment;
  readonly given: Given | undefined;
}

/** What all rows of an entity that have the same knowledge share. */
interface Place {
  readonly entity: string;
  /** By the index of the stream; tables that are looked up by key have none. */
  readonly walks: readonly (PastWalk | undefined)[];
  readonly memo: Memo;
}

interface PlacedJob extends Job {
  readonly place: Place;
}

/** Rows of one view in the order of their moments, evaluated as what they need has been read. */
export class PastRun {
  private jobs: readonly PlacedJob[];
  private readonly walks = new Map<string, PastWalk>();
  /** What the first row that is left has found already: read anew for later rows, it would be gone for this one. */
  private readonly held = new Set<PastWalk>();
  private readonly keeps: boolean;

  constructor(
    private readonly program: Program,
    jobs: readonly (readonly [entity: string, rows: readonly Job[]])[],
    private readonly keepStale: boolean,
  ) {
    this.keeps = keepsVectors(program);
    this.jobs = jobs.flatMap(([entity, rows]) => this.placed(entity, rows)).sort((a, b) => a.moment.at - b.moment.at);
  }

  get open(): boolean {
    return this.jobs.length > 0;
  }

  /** What was looked for in vain. */
  wanting(): ReadonlyMap<StreamNeed, PastWalk[]> {
    const wanting = new Map<StreamNeed, PastWalk[]>();
    for (const walk of this.walks.values()) {
      if (!walk.wanted || this.held.has(walk)) continue;
      const ofNeed = wanting.get(walk.need);
      if (ofNeed) ofNeed.push(walk);
      else wanting.set(walk.need, [walk]);
    }
    return wanting;
  }

  /** Of each row whose events are there its frame. The first that is left finds more of them each time, so that all come to an end. */
  async evaluate(put: (row: number, frame: Frame) => void): Promise<void> {
    const open: PlacedJob[] = [];
    for (const job of this.jobs) {
      if (TURNS.due) await TURNS.next();
      if (open.length === 0) this.held.clear();
      const frame = this.frameOf(job, open.length === 0);
      if (frame) put(job.row, frame);
      else open.push(job);
    }
    this.jobs = open;
  }

  private frameOf({ moment, given, place: { entity, walks, memo } }: PlacedJob, holds: boolean): Frame | undefined {
    const { program, keepStale } = this;
    const { at } = moment;
    let missing = false;
    const states: (EntityState | undefined)[] = [];
    for (const walk of walks) {
      const state = walk && this.find(walk, at, holds);
      if (walk && !state) missing = true;
      states.push(state);
    }
    if (missing) return undefined;
    const known = recallFrame(program, memo, states, { at, given, keepStale });
    if (known && this.keeps) return known;
    const lookup = (stream: number, key: string): EntityState | undefined => {
      const state = this.find(this.walkOf(stream, key, moment), at, holds);
      if (!state) missing = true;
      return state;
    };
    const frame = evaluate(program, { entity, states, lookup, given, keepStale, memo }, at, known);
    if (missing) return undefined;
    if (!known) rememberFrame(program, memo, states, frame);
    return frame;
  }

  private find(walk: PastWalk, at: Micros, holds: boolean): EntityState | undefined {
    const state = walk.find(at);
    if (state && holds) this.held.add(walk);
    return state;
  }

  private placed(entity: string, rows: readonly Job[]): PlacedJob[] {
    const places = new Map<string, Place>();
    return rows.map((job) => {
      const { moment } = job;
      const key = keyOf(moment);
      let place = places.get(key);
      if (!place) places.set(key, (place = this.placeOf(entity, moment)));
      // Nothing is there yet: who walks hears of all moments before the first step.
      for (const walk of place.walks) walk?.find(moment.at);
      return { ...job, place };
    });
  }

  private placeOf(entity: string, moment: PastMoment): Place {
    const { program } = this;
    const walks = program.plan.streams.map(({ keyed }, i) => (keyed ? undefined : this.walkOf(i, entity, moment)));
    return { entity, walks, memo: new Memo(program) };
  }

  private walkOf(stream: number, entity: string, moment: PastMoment): PastWalk {
    const key = `${stream} ${keyOf(moment)}\n${entity}`;
    let walk = this.walks.get(key);
    if (!walk) {
      walk = new PastWalk(this.program.needOf(stream), entity, knowledgeOf(moment), this.program.keyed);
      this.walks.set(key, walk);
    }
    return walk;
  }
}

function keyOf(moment: PastMoment): string {
  const { knownAt, corrected } = knowledgeOf(moment);
  return `${knownAt} ${corrected}`;
}
