// What a durable event costs: node -r ./test/support/load-typescript.cjs libs/audit/src/spool.bench.ts [folder]
// Prints, per number of concurrent callers, events a second, events a write, waiting times and CPU an event, beside the
// disk's own time for one durable write in the same run. The last line is the figure: CPU an event at 64 callers.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { SystemClock, UuidV7Source } from '@sibyl/kernel';
import type { AuditEventDraft } from './audit-event';
import { AuditOptions } from './audit-options';
import { encodeEvent } from './event-encoder';
import { PayloadCipher } from './payload-cipher';
import { SegmentSupply } from './segment-supply';
import { SpoolDisk } from './spool-disk';
import { SpoolWriter } from './spool-writer';
import { silentTrailLog } from './testing';

const RUN_MS = 2000;
const CALLERS = [1, 16, 64, 256];
const clock = new SystemClock();
const ids = new UuidV7Source(clock);
const digest = `sha256:${'0123456789abcdef'.repeat(4)}`;
const payload = JSON.stringify({
  inputs: { x: Array.from({ length: 30 }, (_, i) => i * 1.37) },
  outputs: { p: [0.1, 0.9] },
});

function aPrediction(): AuditEventDraft {
  return {
    action: 'prediction.create',
    outcome: 'succeeded',
    status: 200,
    actor: {
      type: 'key',
      id: '0199aaaa-0000-7000-8000-000000000001',
      keyId: '0199aaaa-0000-7000-8000-000000000001',
      name: 'bench',
    },
    ip: '127.0.0.1',
    requestId: ids.next(),
    occurredAtMs: clock.now(),
    durationMs: 1.234,
    resource: { type: 'model', id: 'momentum' },
    model: { name: 'momentum', version: '1.3.0', digest, alias: 'production' },
    predictionId: ids.next(),
    inputsDigest: digest,
    outputsDigest: digest,
  };
}

interface Row {
  readonly callers: number;
  readonly perSecond: number;
  readonly perWrite: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly cpuUs: number;
  readonly writeMs: number;
}

async function measure(root: string, callers: number): Promise<Row> {
  const folder = fs.mkdtempSync(path.join(root, 'sibyl-bench-'));
  const options = new AuditOptions();
  const chain = ids.next();
  const disk = new SpoolDisk();
  const supply = new SegmentSupply(folder, disk, options);
  const cipher = new PayloadCipher(Buffer.alloc(32, 1), chain);
  const writer = new SpoolWriter({ chain, supply, disk, cipher, clock, ids, log: silentTrailLog }, options);
  await writer.start();
  const waits: number[] = [];
  const began = clock.monotonic();
  const cpu = process.cpuUsage();
  const caller = async (): Promise<void> => {
    while (clock.monotonic() - began < RUN_MS) {
      const before = clock.monotonic();
      await writer.commit(aPrediction(), payload);
      waits.push(clock.monotonic() - before);
    }
  };
  await Promise.all(Array.from({ length: callers }, caller));
  const { user, system } = process.cpuUsage(cpu);
  const seconds = (clock.monotonic() - began) / 1000;
  const { frames, events, writeMs } = writer.status();
  await writer.close();
  fs.rmSync(folder, { recursive: true });
  waits.sort((a, b) => a - b);
  const quantile = (q: number): number => waits[Math.floor(q * waits.length)] ?? 0;
  return {
    callers,
    perSecond: events / seconds,
    perWrite: events / frames,
    p50Ms: quantile(0.5),
    p99Ms: quantile(0.99),
    cpuUs: (user + system) / events,
    writeMs,
  };
}

function encodingUs(): number {
  const count = 100_000;
  const draft = aPrediction();
  const place = { id: ids.next(), recordedAtMs: clock.now(), chain: ids.next(), seq: 1 };
  let characters = 0;
  const began = clock.monotonic();
  for (let seq = 0; seq < count; seq++) characters += encodeEvent(draft, { ...place, seq }).length;
  return characters === 0 ? 0 : ((clock.monotonic() - began) * 1000) / count;
}

async function main(root: string): Promise<void> {
  console.log('callers  events/s  events/write  p50 ms  p99 ms  CPU us/event  write ms');
  let figure = 0;
  for (const callers of CALLERS) {
    const row = await measure(root, callers);
    if (callers === 64) figure = row.cpuUs;
    const cells = [
      String(callers).padStart(7),
      row.perSecond.toFixed(0).padStart(8),
      row.perWrite.toFixed(1).padStart(12),
      row.p50Ms.toFixed(2).padStart(6),
      row.p99Ms.toFixed(2).padStart(6),
      row.cpuUs.toFixed(1).padStart(12),
      row.writeMs.toFixed(2).padStart(8),
    ];
    console.log(cells.join('  '));
  }
  console.log(`encoding an event: ${encodingUs().toFixed(2)} us`);
  console.log(`a durable event costs ${figure.toFixed(1)} us CPU at 64 callers`);
}

void main(process.argv[2] ?? os.tmpdir());
