import { chainHash, ChainHasher, GENESIS, HASH_BYTES, leafHash } from './hash-chain';
import { encodeEvent } from './event-encoder';
import { anEvent } from './testing';
import { verifyChain, type ChainRow } from './verify-chain';

const chain = '0199aaaa-0000-7000-8000-00000000000c';

function rowsOf(count: number): ChainRow[] {
  const rows: ChainRow[] = [];
  let head: Buffer = GENESIS;
  for (let seq = 1; seq <= count; seq++) {
    const id = `0199aaaa-0000-7000-8000-${String(seq).padStart(12, '0')}`;
    const text = encodeEvent(anEvent({ requestId: `r-${seq}` }), { id, recordedAtMs: 1_700_000_000_000, chain, seq });
    const body = Buffer.from(text, 'latin1');
    const leaf = leafHash(body);
    head = chainHash(head, leaf);
    rows.push({
      chain,
      seq,
      body,
      leaf,
      chainHash: head,
      columns: { id, request_id: `r-${seq}`, key_id: 'key-1', status: '200' },
    });
  }
  return rows;
}

/** Replaces one row. */
function changed(rows: ChainRow[], at: number, change: (row: ChainRow) => ChainRow): ChainRow[] {
  return rows.map((row, index) => (index === at ? change(row) : row));
}

function edited(row: ChainRow): Buffer {
  return Buffer.from(Buffer.from(row.body).toString('latin1').replace('"status":200', '"status":500'), 'latin1');
}

describe('hash chain', () => {
  it('hashes as RFC 6962 leaves and a plain chain of them', () => {
    expect(leafHash(Buffer.alloc(0)).toString('hex')).toBe(
      '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
    );
    const leaf = leafHash(Buffer.from('a'));
    expect(leaf.toString('hex')).toBe('022a6979e6dab7aa5ae4c3e5e45f7e977112a7e63593820dbec1ec738a24f93c');
    expect(chainHash(GENESIS, leaf).toString('hex')).toBe(
      '2538f5089fcffe16ba234e55cb0a349e160c25bafeffdc3f308e30f18758ad12',
    );
  });

  it('gives the same hashes in batches as one by one', () => {
    const rows = rowsOf(5);
    const chunk = Buffer.concat(rows.map((row) => row.body));
    const out = Buffer.alloc(5 * 2 * HASH_BYTES);
    const hasher = new ChainHasher(GENESIS);
    let offset = 0;
    rows.forEach((row, index) => {
      hasher.add(chunk, offset, row.body.length, out, index * 2 * HASH_BYTES);
      offset += row.body.length;
    });
    expect(out).toEqual(Buffer.concat(rows.flatMap((row) => [row.leaf, row.chainHash])));
    expect(hasher.head).toEqual(rows[4]?.chainHash);
  });
});

describe('verifyChain', () => {
  it('accepts an untouched chain, whole or from a known event on', () => {
    const rows = rowsOf(10);
    expect(verifyChain(rows)).toEqual({ ok: true, checked: 10 });
    const known = rows[3] as ChainRow;
    expect(verifyChain(rows.slice(4), { seq: known.seq, head: known.chainHash })).toEqual({ ok: true, checked: 6 });
    expect(verifyChain([])).toEqual({ ok: true, checked: 0 });
  });

  const seven = (kind: string): object => ({
    ok: false,
    firstBad: { chain, seq: 7, kind, detail: expect.any(String) },
  });

  it('finds an edited body', () => {
    expect(verifyChain(changed(rowsOf(10), 6, (row) => ({ ...row, body: edited(row) })))).toMatchObject(
      seven('content_mismatch'),
    );
  });

  it('finds an edited body whose leaf was made to fit', () => {
    const rows = changed(rowsOf(10), 6, (row) => ({
      ...row,
      body: edited(row),
      leaf: leafHash(edited(row)),
      columns: {},
    }));
    expect(verifyChain(rows)).toMatchObject(seven('chain_break'));
  });

  it('finds an edited body with leaf and chain hash made to fit, at the next event', () => {
    const rows = rowsOf(10);
    const previous = (rows[5] as ChainRow).chainHash;
    const forged = changed(rows, 6, (row) => {
      const leaf = leafHash(edited(row));
      return { ...row, body: edited(row), leaf, chainHash: chainHash(previous, leaf), columns: {} };
    });
    expect(verifyChain(forged)).toMatchObject({ ok: false, firstBad: { seq: 8, kind: 'chain_break' } });
  });

  it('finds a column that says something else than the body', () => {
    const rows = changed(rowsOf(10), 6, (row) => ({ ...row, columns: { ...row.columns, key_id: 'somebody-else' } }));
    expect(verifyChain(rows)).toMatchObject(seven('column_mismatch'));
  });

  it('finds a time column that was moved, and accepts another way of writing the same time', () => {
    const at = (text: string): ChainRow[] =>
      changed(rowsOf(8), 6, (row) => ({ ...row, columns: { recorded_at: text } }));
    expect(verifyChain(at('2023-11-14 22:13:20+00')).ok).toBe(true);
    expect(verifyChain(at('2023-11-14 22:13:21+00'))).toMatchObject(seven('column_mismatch'));
  });

  it('finds a removed event', () => {
    const rows = rowsOf(10).filter((row) => row.seq !== 6);
    expect(verifyChain(rows)).toMatchObject(seven('gap'));
  });

  it('finds a removed beginning', () => {
    expect(verifyChain(rowsOf(10).slice(6))).toMatchObject(seven('gap'));
  });

  it('finds swapped events', () => {
    const rows = rowsOf(10);
    const swapped = [...rows.slice(0, 5), rows[6], rows[5], ...rows.slice(7)] as ChainRow[];
    expect(verifyChain(swapped)).toMatchObject(seven('gap'));
  });

  it('finds an event that was given another number or chain', () => {
    expect(verifyChain(changed(rowsOf(10), 6, (row) => ({ ...row, seq: 8 })))).toMatchObject({
      firstBad: { seq: 8, kind: 'column_mismatch' },
    });
    expect(verifyChain(changed(rowsOf(10), 6, (row) => ({ ...row, chain: 'other' })))).toMatchObject({
      firstBad: { seq: 7, kind: 'column_mismatch' },
    });
  });

  it('finds an event twice', () => {
    const rows = rowsOf(7);
    expect(verifyChain([...rows, rows[6] as ChainRow])).toMatchObject(seven('gap'));
  });

  it('finds a body that is no event, however well it hashes', () => {
    const body = Buffer.from('{');
    const rows = changed(rowsOf(7), 6, (row) => ({ ...row, body, leaf: leafHash(body) }));
    expect(verifyChain(rows)).toMatchObject(seven('content_mismatch'));
  });
});
