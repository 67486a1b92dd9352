import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { REPOSITORY, startServer, type TestServer } from '../support/server.mjs';

/** Says after each answer how it ended. */
const PRELUDE = 'curl() { command curl "$@"; echo; echo "@$?"; }';

interface Said {
  readonly code: number | null;
  /** What the commands printed, each JSON document by itself. */
  readonly texts: readonly string[];
}

/** The blocks of commands of a document, below the heading if one is named. */
function commandsOf(file: string, heading?: string): string[] {
  const whole = fs.readFileSync(path.join(REPOSITORY, file), 'utf8');
  const text = heading === undefined ? whole : (whole.split(`\n## ${heading}\n`)[1]?.split('\n## ')[0] ?? '');
  return [...text.matchAll(/```sh\n([\s\S]*?)```/g)].map(([, block = '']) => block);
}

describe('documents that are run', () => {
  let server: TestServer;

  beforeAll(async () => {
    server = await startServer({ env: { SIBYL_DEFAULT_MODEL: 'momentum' } });
  }, 90_000);
  afterAll(() => server.stop(), 30_000);

  /** As it stands but for address and key, which are of this server, and files in /tmp, which are of this run. */
  function run(blocks: readonly string[]): Promise<Said> {
    const folder = path.join(server.dataDir, 'how-to');
    fs.mkdirSync(folder, { recursive: true });
    const key = `KEY=${server.adminKey}`;
    const script = [PRELUDE, ...blocks]
      .join('\n')
      .replaceAll('KEY=$(cat .sibyl/admin-key)', key)
      .replaceAll('http://127.0.0.1:8001', server.url)
      .replaceAll('/tmp/', `${folder}/`);
    return new Promise((resolve) => {
      const child = spawn('sh', ['-c', script], { cwd: REPOSITORY, stdio: ['ignore', 'pipe', 'inherit'] });
      let said = '';
      child.stdout.on('data', (bytes: Buffer) => (said += bytes.toString()));
      child.once('close', (code) =>
        resolve({ code, texts: said.split(/\n@\d+\n/).filter((text) => text.trim() !== '') }),
      );
    });
  }

  it('the how-to of card fraud ends in a prediction for a card', async () => {
    const { code, texts } = await run(commandsOf('docs/how-to/features.md'));
    expect(code).toBe(0);
    const answers = texts.map((text) => JSON.parse(text) as Record<string, unknown>);
    expect(answers).toMatchObject([
      { dry_run: true },
      { dry_run: false, name: 'card_fraud' },
      { counts: { ACCEPTED: 1 } },
      { counts: { ACCEPTED: 3 * 60 + 3 + 5 } },
      {
        results: [
          { status: 'OK', values: [0, expect.any(Number), expect.any(Number), false] },
          { values: [5, expect.any(Number), expect.any(Number), true] },
          { status: 'NOT_FOUND' },
        ],
      },
      { feature: 'n_10m' },
      { name: 'fraud_inputs' },
      { version: '2.1.0' },
      { prediction: { label: expect.any(String) as string }, model_info: { version: '2.1.0' } },
      { name: 'fraud_inputs' },
      { version: '2.1.0', report: { passed: true } },
    ]);
    expect(answers[8]).not.toHaveProperty('degraded');
    // Validated again, it takes the set that was published in between.
    const [kept, published, validated] = [answers[7], answers[9], answers[10]];
    expect(validated?.['feature_set_version']).toBe(`fraud_inputs@${String(published?.['hash'])}`);
    expect(kept?.['feature_set_version']).not.toBe(validated?.['feature_set_version']);
  }, 60_000);

  it('the README ends in a signal for a symbol, and for nothing else', async () => {
    const { code, texts } = await run(commandsOf('README.md', 'From candles to a signal'));
    expect(code).toBe(0);
    const answers = texts.map((text) => JSON.parse(text) as Record<string, unknown>);
    expect(answers).toMatchObject([
      { name: 'btc_technical' },
      { name: 'momentum_inputs' },
      { counts: { ACCEPTED: 120 } },
      { results: [{ status: 'OK', statuses: ['PRESENT', 'PRESENT', 'PRESENT', 'PRESENT'] }] },
      { version: '1.4.0', feature_set: 'momentum_inputs' },
      { version: '1.4.0' },
      {
        prediction: { signal: expect.stringMatching(/^(BUY|HOLD|SELL)$/) as string },
        model_info: { name: 'momentum', version: '1.4.0' },
      },
    ]);
    expect(answers.at(-1)).not.toHaveProperty('degraded');
    // The request that each start prints, of a time long before the candles: it has no macd, and the manifest stands in.
    const [printed = ''] = commandsOf('README.md').filter((block) => block.includes('2024-01-15T10:30:00Z'));
    const [body] = /\{"symbol".*\}(?=')/.exec(printed) ?? [];
    const answer = await fetch(`${server.url}/predict`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-api-key': server.adminKey },
      body: body ?? '',
    });
    expect([answer.status, await answer.json()]).toMatchObject([
      200,
      {
        model_info: { version: '1.4.0' },
        degraded: { reasons: ['features_defaulted'], features: ['macd'] },
      },
    ]);
  }, 60_000);

  it('the how-to of training sets ends in rows, and in what was served', async () => {
    const { code, texts } = await run(commandsOf('docs/how-to/make-a-training-set.md'));
    expect(code).toBe(0);
    const answers = texts.map((text) =>
      text
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as Record<string, unknown>),
    );
    const [published, pushed, strict, known, rows, backfilled, served, stats, freshness] = answers;
    expect(answers).toHaveLength(9);
    expect(published).toMatchObject([{ name: 'btc_technical' }]);
    expect(pushed).toMatchObject([{ lines: 120 }]);
    expect(strict).toMatchObject([{ corrected: false, results: [{ status: 'NOT_FOUND' }] }]);
    expect(known).toMatchObject([{ corrected: true, results: [{ status: 'OK' }] }]);
    expect(rows).toHaveLength(7);
    for (const row of rows ?? []) {
      expect(row).toMatchObject({ symbol: 'BTC/USDT', 'btc_technical:price': expect.any(Number) as number });
    }
    expect(backfilled).toMatchObject([{ view: 'btc_technical', entities: 1, rows: 7 }]);
    expect(served).toMatchObject([{ results: [{ values: [expect.any(Number), expect.any(Number)] }] }]);
    expect(stats).toMatchObject([
      { features: expect.arrayContaining([expect.objectContaining({ feature: 'rsi' })]) as [] },
    ]);
    expect(freshness).toMatchObject([
      { features: expect.arrayContaining([expect.objectContaining({ feature: 'price' })]) as [] },
    ]);
  }, 60_000);
});
