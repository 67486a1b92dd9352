// The cell of the bench that shows what waiting for the disk costs one caller: the same server with relaxed audit.
import { startServer } from '../support/server.mjs';
import { measureCell, prepareRequests } from './cell.mjs';
import { pinStand } from './machine.mjs';
import { compareAnswers, issueKey, startLimitServer, upload } from './stand.mjs';
import { treeSubject } from './subjects.mjs';

async function auditOf(server) {
  const { status, body } = await server.call('GET', '/health/detailed');
  if (status !== 200 || body.audit.durability !== 'relaxed') throw new Error(`not relaxed: ${JSON.stringify(body)}`);
  return body.audit;
}

/** One connection, the tree, tensors, on a server of its own; the rest of the stand is that of the other cells. */
export async function measureRelaxed({ load, writes, cores }, rounds) {
  const subject = treeSubject();
  const server = await startServer({ env: { SIBYL_AUDIT_DURABILITY: 'relaxed' } });
  try {
    const key = await issueKey(server);
    await upload(server, subject);
    const limit = await startLimitServer(subject);
    try {
      pinStand({ server, load, limit }, cores);
      await compareAnswers(server, limit, key, { subject, body: 'tensors' });
      await prepareRequests(subject, 'tensors', key, { server, limit, load });
      const before = await auditOf(server);
      const cell = { body: 'tensors', connections: 1, rounds, subject, audit: 'relaxed' };
      const measured = await measureCell(cell, { server, limit, load, writes, cores });
      const after = await auditOf(server);
      const answers = (after.events - before.events) / Math.max(1, after.syncs - before.syncs);
      return { ...measured, limitBatch: limit.batchMax, eventsPerSync: answers };
    } finally {
      limit.stop();
    }
  } finally {
    await server.stop();
  }
}
