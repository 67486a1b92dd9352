/** Hot path. See docs/paths/predict.md. */
import type { VersionFlow } from './served-version';

/** A flow that has run in this time will likely have something to run again soon. */
const RECENT_MS = 100;

/** How much waits. */
export enum Work {
  none = 0,
  one = 1,
  several = 2,
  /** A whole batch, to which others would add nothing. */
  batch = 3,
}

/**
 * The flows that have work, in the order in which they shall run: start-time fair queueing (Goyal, Vin and Cheng, SIGCOMM 1996)
 * over the time of the runners. The one that has had the least of its share is next; one that comes back after a pause has not
 * saved up what it did not use.
 */
export class ActiveFlows {
  private readonly flows: VersionFlow[] = [];
  private readonly recent: VersionFlow[] = [];
  /** Where the flow that ran last stood when it began. */
  private virtualMs = 0;

  get size(): number {
    return this.flows.length;
  }

  /** What waits for a runner with these sessions. */
  look(sessions: ReadonlySet<number>): Work {
    let requests = 0;
    for (const { queue, version } of this.flows) {
      if (queue.depth === 0 || !sessions.has(version.session)) continue;
      if (queue.rows >= version.speed.fullRows) return Work.batch;
      requests += queue.depth;
    }
    return requests > 1 ? Work.several : requests;
  }

  add(flow: VersionFlow): void {
    if (flow.active) return;
    flow.active = true;
    flow.virtualMs = Math.max(flow.virtualMs, this.virtualMs);
    this.flows.push(flow);
  }

  /** The next of those that a runner with these sessions can run. Those without work are forgotten. */
  next(sessions: ReadonlySet<number>): VersionFlow | undefined {
    let least: VersionFlow | undefined;
    for (let i = this.flows.length - 1; i >= 0; i--) {
      const flow = this.flows[i];
      if (flow === undefined) continue;
      if (flow.queue.depth === 0) {
        flow.active = false;
        this.flows.splice(i, 1);
      } else if (sessions.has(flow.version.session) && !(least !== undefined && least.virtualMs < flow.virtualMs)) {
        least = flow;
      }
    }
    return least;
  }

  /** A batch begins; what it is expected to take is counted at once, as other runners may ask while it runs. */
  began(flow: VersionFlow, expectedMs: number, now: number): void {
    this.virtualMs = flow.virtualMs;
    flow.virtualMs += expectedMs / flow.weight;
    if (now - flow.startedAt > RECENT_MS && !this.recent.includes(flow)) this.recent.push(flow);
    flow.startedAt = now;
  }

  /** It took so much longer than expected, or less. */
  ended(flow: VersionFlow, differenceMs: number): void {
    flow.virtualMs += differenceMs / flow.weight;
  }

  /** How many share the runners with this one, itself included: those of no lesser weight that have run of late. */
  rivals(flow: VersionFlow, now: number): number {
    let rivals = 1;
    for (let i = this.recent.length - 1; i >= 0; i--) {
      const other = this.recent[i];
      if (other === undefined) continue;
      if (now - other.startedAt > RECENT_MS && !other.active) this.recent.splice(i, 1);
      else if (other !== flow && other.weight >= flow.weight && meet(flow, other)) rivals++;
    }
    return rivals;
  }
}

/** Whether they share runners. */
function meet(flow: VersionFlow, other: VersionFlow): boolean {
  return flow.version === other.version || !(flow.version.alone || other.version.alone);
}
