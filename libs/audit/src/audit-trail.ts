import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { isUuid, type Clock, type IdSource } from '@sibyl/kernel';
import type { Database } from '@sibyl/database';
import type { EntityManager } from 'typeorm';
import type { AuditEventDraft } from './audit-event';
import { AuditOptions, type AuditDurability } from './audit-options';
import { ChainOwner, isAbandoned } from './chain-owner';
import { ChainShipment } from './chain-shipment';
import type { CommitReceiver } from './commit-receiver';
import { encodeEvent } from './event-encoder';
import { EventStore } from './event-store';
import { boundedPayload, type Payload } from './bounded-payload';
import { PayloadCipher } from './payload-cipher';
import { SegmentSupply } from './segment-supply';
import { segmentName } from './segment';
import { Shipper } from './shipper';
import { SpoolDisk } from './spool-disk';
import { SpoolReader } from './spool-reader';
import { SpoolWriter } from './spool-writer';
import type { TrailLog } from './trail-log';

export interface AuditTrailParts {
  /** The data folder; the spool lies in `spool/` below it and may be shared with other processes. */
  readonly folder: string;
  readonly database: Database;
  /** 32 bytes that seal the payloads of predictions. */
  readonly payloadKey: Uint8Array;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly log: TrailLog;
  /** Requests under way that will commit soon; lets a write wait for them for a fraction of a millisecond. */
  readonly expecting?: () => number;
  readonly disk?: SpoolDisk;
  /** Whether this process takes over what dead ones left. Of several that start together one is enough. */
  readonly adopts?: boolean;
}

export interface AuditTrailStatus {
  readonly writable: boolean;
  /** Events that are durable here but not yet in PostgreSQL. */
  readonly backlogEvents: number;
  readonly spoolBytes: number;
  /** Chains of dead processes that are still being moved. */
  readonly leftoverChains: number;
  readonly events: number;
  readonly durability: AuditDurability;
  /** Of the predictions of so much time a crash of the machine may cost the events. */
  readonly lossWindowMs: number;
  /** Writes so far; events divided by it is the size of a group. */
  readonly writes: number;
  /** Times that the disk was waited for; as many as writes unless durability is relaxed. */
  readonly syncs: number;
  readonly refused: number;
  readonly writeMs: number;
  readonly chains: { readonly spool: string; readonly database: string };
  /** For the log only. */
  readonly writeError?: string;
  readonly shipError?: string;
}

const MONTHS_AHEAD = 2;
const DAY_MS = 86_400_000;
const MONTH_MS = 31 * DAY_MS;
/** How long closing waits for the last events to reach PostgreSQL; they are safe in the spool either way. */
const CLOSE_FLUSH_MS = 2000;

/**
 * The record of everything that happens. What is committed here is on stable storage before the promise resolves, and
 * in PostgreSQL soon after. Each start opens two chains of its own: one for the spool, one for changes in the database.
 */
export class AuditTrail {
  private readonly spoolChain: string;
  private readonly databaseChain: string;
  private readonly spoolFolder: string;
  private readonly chainFolder: string;
  private readonly disk: SpoolDisk;
  private readonly store: EventStore;
  private readonly supply: SegmentSupply;
  private readonly writer: SpoolWriter;
  private readonly shipper: Shipper;
  private readonly live: ChainShipment;
  private readonly owners = new Map<string, ChainOwner>();
  private readonly timers: NodeJS.Timeout[] = [];
  private closing: Promise<void> | undefined;

  constructor(
    private readonly parts: AuditTrailParts,
    private readonly options: AuditOptions = new AuditOptions(),
  ) {
    const { ids, clock, log, database } = parts;
    const { durability, lossWindowMs: windowMs } = options;
    const disk = parts.disk ?? new SpoolDisk(durability === 'relaxed' ? { windowMs, clock } : undefined);
    this.disk = disk;
    const chain = ids.next();
    this.spoolChain = chain;
    this.databaseChain = ids.next();
    this.spoolFolder = path.join(parts.folder, 'spool');
    this.chainFolder = path.join(this.spoolFolder, chain);
    this.store = new EventStore(database, `${os.hostname()}/${process.pid}`);
    this.supply = new SegmentSupply(this.chainFolder, disk, options);
    this.shipper = new Shipper({ clock, log, onDone: (shipment) => this.finish(shipment) }, options);
    const cipher = new PayloadCipher(parts.payloadKey, chain);
    const onDurable = (): void => this.shipper.notify();
    const { supply } = this;
    // Holding a write back pays where it waits for the disk; else the wait costs more than the write.
    const expecting = durability === 'relaxed' ? undefined : parts.expecting;
    const writerParts = { chain, supply, disk, cipher, clock, ids, log, expecting, onDurable };
    this.writer = new SpoolWriter(writerParts, options);
    const reader = new SpoolReader(this.chainFolder, chain, () => this.writer.durableEnd());
    const release = (segment: number): Promise<void> => this.supply.giveBack(segment);
    this.live = new ChainShipment(
      { chain, folder: this.chainFolder, reader, store: this.store, log, release },
      options,
    );
  }

  /** Opens the spool, takes over what dead processes left behind, and begins to ship; needs no database. */
  async start(): Promise<void> {
    fs.mkdirSync(this.chainFolder, { recursive: true, mode: 0o700 });
    this.own(this.chainFolder, (error) => this.writer.lose(error));
    await this.writer.start();
    this.shipper.add(this.live);
    this.adoptLeftovers();
    this.timers.push(setInterval(() => this.adoptLeftovers(), this.options.adoptIntervalMs).unref());
    void this.ensureMonths();
    this.timers.push(setInterval(() => void this.ensureMonths(), DAY_MS / 4).unref());
  }

  /** Instead of `start`, for a process that records changes and no requests: it has no use for a spool. */
  startForChanges(): Promise<void> {
    return this.ensureMonths();
  }

  /** Resolves when the event is on stable storage; rejects with `audit_unavailable` otherwise. */
  commit(event: AuditEventDraft, payload?: Payload): Promise<void> {
    return this.writer.commit(event, this.bounded(payload));
  }

  /** Hot path. The same for a receiver. `payload` is JSON text, or its pieces, that is kept encrypted beside the event. */
  submit(event: AuditEventDraft, payload: Payload | undefined, receiver: CommitReceiver): void {
    this.writer.submit(event, this.bounded(payload), receiver);
  }

  /** Adds the event to the transaction of the change that it records: both become durable together, or neither. */
  async commitInTransaction(tx: EntityManager, event: AuditEventDraft): Promise<void> {
    const { ids, clock } = this.parts;
    const chain = this.databaseChain;
    const place = { id: ids.next(), recordedAtMs: clock.now(), chain };
    await this.store.appendIn(tx, chain, (seq) => encodeEvent(event, { ...place, seq }));
  }

  /** Whether a commit would be taken now. */
  writable(): boolean {
    return this.writer.writable;
  }

  status(): AuditTrailStatus {
    const { frames, events, refused, writeMs, lastError } = this.writer.status();
    const shipError = this.shipper.lastFailure?.message;
    return {
      writable: this.writable(),
      backlogEvents: events - this.live.shippedSeq,
      spoolBytes: this.supply.bytes,
      leftoverChains: this.leftovers().length,
      events,
      durability: this.options.durability,
      lossWindowMs: this.options.durability === 'relaxed' ? this.options.lossWindowMs : 0,
      writes: frames,
      syncs: this.disk.syncs,
      refused,
      writeMs,
      chains: { spool: this.spoolChain, database: this.databaseChain },
      ...(lastError === undefined ? {} : { writeError: lastError }),
      ...(shipError === undefined ? {} : { shipError }),
    };
  }

  /** Resolves when everything committed so far, and all that dead processes left, is in PostgreSQL. */
  async flush(timeoutMs: number = this.options.readYourWritesMs): Promise<void> {
    const { seq } = this.writer.durableEnd();
    const before = this.leftovers();
    const arrived = (): boolean =>
      this.live.shippedSeq >= seq && !before.some((shipment) => this.shipper.chains.includes(shipment));
    await this.shipper.flush(arrived, timeoutMs);
  }

  /** Refuses new events, writes and ships those under way; what PostgreSQL cannot take is shipped by the next start. */
  close(): Promise<void> {
    this.closing ??= this.end();
    return this.closing;
  }

  private bounded(payload: Payload | undefined): Payload | undefined {
    return payload === undefined ? undefined : boundedPayload(payload, this.options.payloadBytes);
  }

  private async end(): Promise<void> {
    for (const timer of this.timers) clearInterval(timer);
    await this.writer.close();
    const isEmpty = await this.flush(CLOSE_FLUSH_MS).then(
      () => this.live.shippedSeq >= this.writer.durableEnd().seq,
      () => false,
    );
    await this.shipper.stop();
    if (isEmpty) {
      await Promise.all([this.store.closeChain(this.spoolChain), this.store.closeChain(this.databaseChain)]).catch(
        (error: unknown) => this.parts.log.warn({ err: error }, 'the audit chains of this process stay open'),
      );
      fs.rmSync(this.chainFolder, { recursive: true, force: true });
    }
    for (const owner of this.owners.values()) owner.release();
  }

  private own(folder: string, onLost: (error: Error) => void): void {
    this.owners.set(folder, new ChainOwner(folder, onLost));
  }

  private leftovers(): readonly ChainShipment[] {
    return this.shipper.chains.filter((shipment) => shipment !== this.live);
  }

  /**
   * Takes over what dead processes have left. Two may take the same chain: each batch moves the head only once, so the second
   * sees it and goes on.
   */
  adoptLeftovers(): void {
    if (this.parts.adopts === false || this.closing !== undefined) return;
    for (const name of fs.readdirSync(this.spoolFolder)) {
      const folder = path.join(this.spoolFolder, name);
      if (!isUuid(name) || this.owners.has(folder)) continue;
      if (!isAbandoned(folder, this.parts.clock.now(), this.options.abandonedAfterMs)) continue;
      this.adopt(name, folder);
    }
  }

  private adopt(chain: string, folder: string): void {
    const { log } = this.parts;
    const release = (segment: number): Promise<void> => this.disk.remove(path.join(folder, segmentName(segment)));
    const reader = new SpoolReader(folder, chain);
    const shipment = new ChainShipment({ chain, folder, reader, store: this.store, log, release }, this.options);
    try {
      this.own(folder, () => this.forget(shipment));
    } catch (error) {
      log.warn({ err: error, chain }, 'a chain that was left behind could not be taken over');
      return;
    }
    log.info({ chain }, 'moving the audit events that an earlier process left behind');
    this.shipper.add(shipment);
  }

  private async finish(shipment: ChainShipment): Promise<void> {
    await this.store.closeChain(shipment.chain);
    await shipment.close();
    // What could not be read is kept for a person to look at.
    if (shipment.damaged) fs.renameSync(shipment.folder, `${shipment.folder}.damaged`);
    else fs.rmSync(shipment.folder, { recursive: true, force: true });
    this.forget(shipment);
  }

  private forget(shipment: ChainShipment): void {
    this.owners.get(shipment.folder)?.release();
    this.owners.delete(shipment.folder);
    this.shipper.drop(shipment);
  }

  private async ensureMonths(): Promise<void> {
    const now = this.parts.clock.now();
    const times = Array.from({ length: MONTHS_AHEAD + 1 }, (_, i) => now + i * MONTH_MS);
    await this.store.ensureMonths(times).catch((error: unknown) => {
      this.parts.log.warn({ err: error }, 'partitions of the audit log will be made later');
    });
  }
}
