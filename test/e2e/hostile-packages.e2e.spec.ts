import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { HostilePackage } from '../support/hostile/hostile-package';
import { HOSTILE_IMPORTS, HOSTILE_UPLOADS } from '../support/hostile-packages';
import { RecordedClient, type Reply } from '../support/recorded-client';
import { REPOSITORY, startServer, type TestServer } from '../support/server.mjs';

const ONE_MODEL = path.join(REPOSITORY, 'examples/models/momentum-1.2.3');
const FEATURES = { price: 45000, volume: 1e6, rsi: 65.5 };
/** Of the server process, above what it has before: some packages have ten megabytes, and none may cost many times that. */
const GROWTH_MIB = 200;

/** Another model, asked without a pause while the packages come. */
class Neighbour {
  answered = 0;
  readonly failures: string[] = [];
  private ended: Promise<void> | undefined;
  private stopped = false;

  constructor(private readonly client: RecordedClient) {}

  start(): void {
    this.ended = this.run();
  }

  async stop(): Promise<void> {
    this.stopped = true;
    await this.ended;
  }

  private async run(): Promise<void> {
    while (!this.stopped) {
      try {
        const { status, body } = await this.client.post('/predict', { features: FEATURES });
        if (status === 200) this.answered++;
        else this.failures.push(`${status} ${JSON.stringify(body)}`);
      } catch (error) {
        this.failures.push(String(error));
      }
      await sleep(10);
    }
  }
}

function residentMib(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
}

/** What was answered, a line for each reason. */
function expectRefusal({ status, body }: Reply, { refused }: HostilePackage): void {
  const { code, detail, errors = [] } = body as { code: string; detail: string; errors?: Record<string, string>[] };
  const reasons = errors.map(({ pointer, expected, received, hint }) =>
    [pointer, expected, received, hint].join(' | '),
  );
  const { pointer, says } = refused;
  const found = reasons.some((reason) => reason.startsWith(`${pointer} | `) && reason.includes(says));
  expect({ status, code, found: pointer === undefined ? detail.includes(says) : found, reasons }).toEqual({
    status: refused.code === 'invalid_parameter' ? 400 : 422,
    code: refused.code,
    found: true,
    reasons,
  });
}

describe('hostile packages', () => {
  let server: TestServer;
  let client: RecordedClient;
  let neighbour: Neighbour;
  let before: number;
  let most = 0;

  beforeAll(async () => {
    server = await startServer({
      env: {
        SIBYL_MODELS: ONE_MODEL,
        SIBYL_RUNNERS: '1',
        SIBYL_VALIDATION_SECONDS: '4',
        SIBYL_TRIAL_MEMORY_MIB: '400',
        SIBYL_LOG_LEVEL: 'warn',
      },
    });
    client = new RecordedClient(server, 'hostile');
    neighbour = new Neighbour(new RecordedClient(server, 'neighbour'));
    before = residentMib(server.pid);
    neighbour.start();
  }, 120_000);
  afterAll(async () => {
    await neighbour.stop();
    await server.stop();
  }, 30_000);
  afterEach(() => (most = Math.max(most, residentMib(server.pid))));

  it.each(HOSTILE_UPLOADS)(
    '$name: $attack',
    async (entry) => {
      expectRefusal(await client.uploadParts(entry.name, entry.parts()), entry);
      expect(await client.lastEvent()).toMatchObject({ action: 'model.register', outcome: 'failed' });
    },
    30_000,
  );

  it.each(HOSTILE_IMPORTS)('$name, in a folder: $attack', async (entry) => {
    const folder = path.join(server.dataDir, 'import', entry.name);
    entry.place(folder);
    const reply = await client.post(`/v1/models/${entry.name}/versions`, { source_uri: entry.name });
    expectRefusal(reply, entry);
    expect(await client.lastEvent()).toMatchObject({ action: 'model.register', outcome: 'failed' });
  });

  describe('afterwards', () => {
    beforeAll(() => neighbour.stop());

    it('nobody who asked another model has noticed', () => {
      expect(neighbour.failures).toEqual([]);
      expect(neighbour.answered).toBeGreaterThan(100);
    });

    it(`the server has taken less than ${GROWTH_MIB} MiB for it`, () => {
      expect(most - before).toBeLessThan(GROWTH_MIB);
    });

    it('nothing is left but what only a trial could refuse, and that can serve nobody', async () => {
      const tried = HOSTILE_UPLOADS.filter(({ onlyByTrial }) => onlyByTrial).map(({ name }) => name);
      const { body } = await client.get('/models?limit=1000');
      const rows = body.models as { name: string; status: string }[];
      const others = rows.filter(({ name }) => name !== 'momentum');
      expect(others.map(({ name, status }) => `${name} ${status}`).sort()).toEqual(
        tried.map((name) => `${name} rejected`).sort(),
      );
      const artifacts = path.join(server.dataDir, 'artifacts');
      expect(fs.readdirSync(path.join(artifacts, 'staging'))).toEqual([]);
      expect(fs.readdirSync(path.join(artifacts, 'uploads'))).toEqual([]);
      expect(fs.readdirSync(path.join(artifacts, 'packages'))).toHaveLength(tried.length + 1);
      expect(fs.existsSync('/srv/owned')).toBe(false);
    });

    it('each request has one event with the status of its answer', async () => {
      expect(await client.unrecorded()).toEqual([]);
    });
  });
});
