import { EmbeddedPostgres } from '@sibyl/database';
import { createLogger, MetricsSum, type Logger } from '@sibyl/telemetry';
import type { ApiConfig } from '../../config';
import { banner } from '../banner';
import { addressOf, fail, pause, STOP_LIMIT_MS, stopSignal, warnOfSettings } from '../life';
import { adminKeyFileOf, prepareInstallation } from '../platform';
import { ConnectionDealer } from './connection-dealer';
import { Workforce, WorkerStartFailed } from './workforce';

/** Connections of each worker beside its pools: it listens for changes with one. */
const LISTENING = 1;
/** Connections of PostgreSQL that no worker counts on: for migrations, and for people who look. */
const SPARE_CONNECTIONS = 24;

/** What the primary holds for all workers. */
interface Office {
  readonly config: ApiConfig;
  readonly log: Logger;
  readonly database: EmbeddedPostgres | undefined;
  readonly dealer: ConnectionDealer;
  readonly workforce: Workforce;
}

/**
 * The whole life of a server of several workers, as its primary sees it: the database, what is done once for all, the workers,
 * the port, and an orderly end. It takes no requests itself.
 */
export async function servePrimary(config: ApiConfig): Promise<void> {
  const log = createLogger(config.telemetry);
  const stopping = stopSignal();
  process.on('uncaughtException', (error) => fail(log, error, 'the server failed unexpectedly'));
  try {
    const database = await startEmbedded(config, log);
    await prepareInstallation(config, log);
    const office = hire(config, log, database);
    const signalled = await Promise.race([office.workforce.opened.then(() => undefined), stopping]);
    if (signalled === undefined) await listen(office);
    await stop(office, await stopping);
  } catch (error) {
    // The worker has told what was wrong.
    if (error instanceof WorkerStartFailed) process.exit(error.exitCode);
    fail(log, error, 'the server could not start');
  }
}

/** The one PostgreSQL of all workers, with a connection for each that they may ask for. */
async function startEmbedded({ database, server }: ApiConfig, log: Logger): Promise<EmbeddedPostgres | undefined> {
  if (database.url !== undefined) return undefined;
  const perWorker = database.poolSize + database.auditPoolSize + LISTENING;
  const connections = SPARE_CONNECTIONS + server.workers * perWorker;
  const settings = { max_connections: String(connections) };
  return EmbeddedPostgres.start({ folder: database.embeddedFolder, settings }, log);
}

function hire(config: ApiConfig, log: Logger, database: EmbeddedPostgres | undefined): Office {
  const workers = (): Workforce['all'] => workforce.all;
  const metrics = new MetricsSum(() => workers().filter(({ open }) => open).length);
  const dealer = new ConnectionDealer(workers);
  const workforce: Workforce = new Workforce({ config, log, dealer, metrics });
  workforce.start();
  return { config, log, database, dealer, workforce };
}

async function listen({ config, log, dealer, workforce }: Office): Promise<void> {
  const { port, host, environment, workers } = config.server;
  const url = addressOf(await dealer.listen(port, host), host);
  warnOfSettings(config, log);
  log.info({ url, workers }, 'listening');
  void workforce.ready.then(() => {
    log.info({ startMs: Math.round(process.uptime() * 1000), workers }, 'ready');
    if (environment === 'development') process.stdout.write(banner(url, adminKeyFileOf(config), config));
  });
}

/** The workers drain as a server of one process does; the port closes when they stop taking connections. */
async function stop({ config, log, database, dealer, workforce }: Office, signal: NodeJS.Signals): Promise<void> {
  const { drainDelayMs, drainSeconds } = config.server;
  log.info({ signal }, 'stopping the workers');
  const limitMs = drainDelayMs + drainSeconds * 1000 + STOP_LIMIT_MS;
  setTimeout(() => fail(log, new Error('stopping took too long'), 'the server was ended'), limitMs).unref();
  const drained = workforce.drain(signal);
  await pause(drainDelayMs);
  dealer.close();
  const failed = await drained;
  await database?.stop();
  log.info({}, 'stopped');
  process.exit(failed === 0 ? 0 : 1);
}
