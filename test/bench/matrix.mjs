// npm run bench -- --full: every model, body and number of connections.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { measureCell, prepareRequests } from './cell.mjs';
import { pin } from './machine.mjs';
import { compareAnswers, startLimitServer, upload } from './stand.mjs';
import { allSubjects } from './subjects.mjs';

const CONNECTIONS = [1, 16, 64, 256];

/** One model with its own limit server, from upload to the last cell. */
async function measureSubject({ subject, bodies }, stand, { key, rounds }) {
  await upload(stand.server, subject);
  const limit = await startLimitServer(subject);
  try {
    if (stand.cores) pin(limit.pid, stand.cores.server);
    const cells = [];
    for (const body of bodies) {
      await compareAnswers(stand.server, limit, key, { subject, body });
      await prepareRequests(subject, body, key, { ...stand, limit });
      for (const connections of CONNECTIONS) {
        const measured = await measureCell(
          { subject, body, connections, rounds, audit: 'durable' },
          { ...stand, limit },
        );
        console.error(`${subject.label}, ${body}, ${connections} connections: F ${measured.f.toFixed(2)}`);
        cells.push({ ...measured, limitBatch: limit.batchMax });
      }
    }
    return cells;
  } finally {
    limit.stop();
  }
}

export async function measureMatrix(stand, key, rounds) {
  const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'sibyl-bench-'));
  try {
    const cells = [];
    for (const each of allSubjects(scratch)) cells.push(...(await measureSubject(each, stand, { key, rounds })));
    return cells;
  } finally {
    fs.rmSync(scratch, { recursive: true });
  }
}
