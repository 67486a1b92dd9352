/** Hot path. Group commit: one write in flight; whatever arrives meanwhile is the next frame. */
import { DomainError, invariant, type Clock, type IdSource } from '@sibyl/kernel';
import { mayLinger, type AuditEventDraft } from './audit-event';
import type { AuditOptions } from './audit-options';
import type { Payload } from './bounded-payload';
import type { CommitReceiver } from './commit-receiver';
import { encodeEvent } from './event-encoder';
import { OpenFrame } from './frame';
import { openSegment, prepareNext, type OpenSegment } from './open-segment';
import type { PayloadCipher } from './payload-cipher';
import { SEGMENT_HEADER_BYTES } from './segment';
import type { SegmentSupply } from './segment-supply';
import type { SpoolDisk } from './spool-disk';
import type { TrailLog } from './trail-log';
import { WriteHold } from './write-hold';

export interface SpoolWriterParts {
  readonly chain: string;
  readonly supply: SegmentSupply;
  readonly disk: SpoolDisk;
  readonly cipher: PayloadCipher;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly log: TrailLog;
  /** Requests that have begun and will commit soon, for example those at a runner. */
  readonly expecting?: (() => number) | undefined;
  readonly onDurable?: (() => void) | undefined;
}

/** A place in a chain's files, and the number of the last event before it. */
export interface DurableEnd {
  readonly segment: number;
  readonly offset: number;
  readonly seq: number;
}

/** Share of a new measurement in the running mean of write times. */
const EWMA = 0.1;
/** The first guess of how long a durable write takes. */
const FIRST_WRITE_MS = 0.5;
const WATCH_MS = 250;

export class SpoolWriter {
  /** A lost writer stays so: its disk may be written, but nobody reads it. */
  private state: 'new' | 'open' | 'failed' | 'lost' | 'closed' = 'new';
  private segment: OpenSegment | undefined;
  private filling = new OpenFrame();
  private spare = new OpenFrame();
  /** Who waits for the frame that is being filled, and for the write under way. */
  private waiting: CommitReceiver[] = [];
  private inFlight: CommitReceiver[] | undefined;
  private writeBegan = 0;
  private scheduled = false;
  private readonly hold: WriteHold;
  private lastSeq = 0;
  private durableSeq = 0;
  private writeMs = FIRST_WRITE_MS;
  private probe: NodeJS.Timeout | undefined;
  private watch: NodeJS.Timeout | undefined;
  private lastError: Error | undefined;
  private frames = 0;
  private refusals = 0;
  private readonly flush = (): void => this.writeFilling();

  constructor(
    private readonly parts: SpoolWriterParts,
    private readonly options: AuditOptions,
  ) {
    this.hold = new WriteHold(parts.clock, parts.expecting, options.holdFraction, () => this.schedule());
  }

  /** Opens the first segment; a disk that cannot be written leaves the writer in the state that probes. */
  async start(): Promise<void> {
    this.watch = setInterval(() => this.failStalled(), WATCH_MS).unref();
    try {
      await this.openNext(false);
      if (this.state === 'new') this.state = 'open';
    } catch (error) {
      this.fail(error);
    }
  }

  /** Resolves when the event is recorded. */
  commit(draft: AuditEventDraft, payload?: Payload): Promise<void> {
    const submit = (durable: () => void, lost: (error: Error) => void): void =>
      this.submit(draft, payload, { durable, lost });
    const committed = new Promise<void>(submit);
    // A refusal that nobody waits for must not end the process.
    committed.catch(() => undefined);
    return committed;
  }

  /** Tells the receiver: on stable storage, or with the kernel where durability is relaxed and the event may linger. */
  submit(draft: AuditEventDraft, payload: Payload | undefined, receiver: CommitReceiver): void {
    const frame = this.filling;
    if (this.state !== 'open') {
      this.refuse(receiver, 'The audit log cannot be written.');
      return;
    }
    if (frame.count >= this.options.queueEvents || frame.bytes >= this.options.queueBytes) {
      this.refuse(receiver, 'Too many events wait for the audit log.');
      return;
    }
    const { clock, chain, ids } = this.parts;
    const seq = this.lastSeq + 1;
    frame.add(seq, encodeEvent(draft, { id: ids.next(), recordedAtMs: clock.now(), chain, seq }), payload);
    frame.strict ||= !mayLinger(draft);
    this.lastSeq = seq;
    this.waiting.push(receiver);
    if (this.inFlight === undefined && (!this.hold.holding || this.hold.over(frame.count))) this.schedule();
  }

  get writable(): boolean {
    return this.state === 'open' && !this.stalled();
  }

  /** Everything before it is recorded as its durability asks, and acknowledged. */
  durableEnd(): DurableEnd {
    return {
      segment: this.segment?.number ?? 0,
      offset: this.segment?.offset ?? SEGMENT_HEADER_BYTES,
      seq: this.durableSeq,
    };
  }

  status(): { frames: number; events: number; refused: number; writeMs: number; lastError?: string } {
    const failure = this.lastError ? { lastError: this.lastError.message } : {};
    return { frames: this.frames, events: this.durableSeq, refused: this.refusals, writeMs: this.writeMs, ...failure };
  }

  /** Refuses new events, waits for those under way and lets go of the file. */
  async close(): Promise<void> {
    const last = this.filling.count > 0 ? this.waiting : this.inFlight;
    if (this.state === 'open') this.state = 'closed';
    this.hold.release();
    if (this.filling.count > 0) this.schedule();
    if (last !== undefined)
      await new Promise<void>((resolve) => last.push({ durable: resolve, lost: () => resolve() }));
    this.state = 'closed';
    clearTimeout(this.probe);
    clearInterval(this.watch);
    await this.segment?.file.close().catch(() => undefined);
  }

  /** The folder was taken away, so what is written would be read by nobody: as if the disk had failed, for good. */
  lose(error: Error): void {
    this.fail(error, 'lost');
  }

  private schedule(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    // Everything that this turn of the event loop completes (a whole batch of a runner) comes into one write.
    setImmediate(this.flush);
  }

  private writeFilling(): void {
    this.scheduled = false;
    const segment = this.segment;
    if (this.inFlight !== undefined || this.filling.count === 0 || segment === undefined) return;
    if (this.state === 'failed' || this.state === 'lost') return;
    if (this.state === 'open' && this.hold.begin(this.filling.count, this.writeMs)) return;
    const frame = this.filling;
    const waiting = this.waiting;
    this.filling = this.spare;
    this.spare = frame;
    this.waiting = [];
    this.inFlight = waiting;
    this.writeBegan = this.parts.clock.monotonic();
    const fits = segment.offset + frame.bytes <= this.options.segmentBytes;
    if (fits || segment.offset === SEGMENT_HEADER_BYTES) this.write(frame, waiting, segment);
    else void this.writeIntoNext(frame, waiting);
  }

  private write(frame: OpenFrame, waiting: CommitReceiver[], segment: OpenSegment): void {
    const bytes = frame.close(this.parts.cipher, segment.seed);
    const seq = frame.firstSeq + frame.count - 1;
    segment.file.write(bytes, segment.offset, frame.strict, (error) => {
      // Refused meanwhile, and all of this set right; what is in flight now may be another write.
      if (this.inFlight !== waiting) return;
      if (error) {
        this.fail(error);
        return;
      }
      segment.offset += bytes.length;
      this.durableSeq = seq;
      this.frames++;
      const tookMs = this.parts.clock.monotonic() - this.writeBegan;
      this.writeMs += EWMA * (tookMs - this.writeMs);
      frame.reset();
      this.inFlight = undefined;
      if (this.filling.count > 0) this.schedule();
      this.parts.onDurable?.();
      for (const receiver of waiting) receiver.durable();
    });
  }

  private async writeIntoNext(frame: OpenFrame, waiting: CommitReceiver[]): Promise<void> {
    try {
      const segment = await this.openNext(true);
      if (this.inFlight === waiting) this.write(frame, waiting, segment);
    } catch (error) {
      this.fail(error);
    }
  }

  private async openNext(paced: boolean): Promise<OpenSegment> {
    const before = { end: this.segment?.offset ?? 0, seq: this.durableSeq };
    await this.segment?.file.sync(); // The head of the next segment says where this one ends.
    const next = await openSegment(this.parts, before, paced);
    await this.segment?.file.close().catch(() => undefined);
    this.segment = next;
    prepareNext(this.parts);
    return next;
  }

  /**
   * Nothing that waits was acknowledged, so all of it is refused and its numbers are given again. What the failed
   * write left in the file is cut off; should that fail too, the head of the next segment rules it out.
   */
  private fail(error: unknown, outcome: 'failed' | 'lost' = 'failed'): void {
    if (this.state === outcome || this.state === 'lost') return;
    if (this.state === 'closed' && this.inFlight === undefined) return;
    const cause = error instanceof Error ? error : new Error(String(error));
    this.parts.log.error({ err: cause }, 'the audit spool cannot be written');
    this.lastError = cause;
    if (this.state !== 'closed') this.state = outcome;
    this.lastSeq = this.durableSeq;
    const lost = this.inFlight ?? [];
    this.inFlight = undefined;
    this.refusals += this.spare.count;
    this.spare.reset();
    lost.push(...this.dropFilling());
    void this.recover(this.segment);
    tell(lost, cause);
  }

  private async recover(suspect: OpenSegment | undefined): Promise<void> {
    await suspect?.file.cut(suspect.offset).catch(() => undefined);
    while (this.mayRecover()) {
      await new Promise<void>((resolve) => {
        this.probe = setTimeout(resolve, this.options.probeIntervalMs).unref();
      });
      if (!this.mayRecover()) return;
      try {
        await this.openNext(true);
        if (!this.mayRecover()) return;
        this.state = 'open';
        this.lastError = undefined;
        this.parts.log.warn({ refused: this.refusals }, 'the audit spool can be written again');
        return;
      } catch (error) {
        if (this.mayRecover()) this.lastError = error instanceof Error ? error : new Error(String(error));
      }
    }
  }

  /** Asked again after every wait: the writer may have been lost or closed meanwhile. */
  private mayRecover(): boolean {
    return this.state === 'failed';
  }

  private stalled(): boolean {
    return this.inFlight !== undefined && this.parts.clock.monotonic() - this.writeBegan > this.options.stalledAfterMs;
  }

  /** A disk that hangs answers nobody; those who wait are told, though the write may still end well. */
  private failStalled(): void {
    if (!this.stalled() || this.state === 'failed') return;
    const cause = new Error('the disk under the audit spool does not answer');
    // Emptied, not replaced: the write under way is known by it, and by then nobody waits for its end any more.
    const lost = this.inFlight?.splice(0) ?? [];
    this.lastSeq = this.spare.firstSeq + this.spare.count - 1;
    lost.push(...this.dropFilling());
    tell(lost, cause);
  }

  /** Empties the frame that is being filled; answers who waited for it. */
  private dropFilling(): CommitReceiver[] {
    this.hold.release();
    this.refusals += this.filling.count;
    this.filling.reset();
    const { waiting } = this;
    this.waiting = [];
    return waiting;
  }

  private refuse(receiver: CommitReceiver, detail: string): void {
    invariant(this.state !== 'new', 'commit before start');
    this.refusals++;
    receiver.lost(new DomainError('audit_unavailable', detail, { cause: this.lastError }));
  }
}

/** After everything is set right: whoever is told may submit again. */
function tell(lost: readonly CommitReceiver[], cause: Error): void {
  const error = new DomainError('audit_unavailable', 'The event of this request could not be recorded.', { cause });
  for (const receiver of lost) receiver.lost(error);
}
