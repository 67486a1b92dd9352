import type { Server } from 'node:http';
import { Server as NetServer, type AddressInfo } from 'node:net';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { createLogger, type Logger } from '@sibyl/telemetry';
import { ApiModule } from '../api.module';
import { loadConfig, SettingsError, type ApiConfig } from '../config';
import { banner } from './banner';
import { OpenApi } from './docs/openapi';
import { Drain } from './http/drain';
import { layPipeline } from './http/pipeline';
import { ShapedExpressAdapter } from './http/shaped-express.adapter';
import { NestLog } from './nest-log';
import { startPlatform, type Platform } from './platform';
import { PREDICT_SCHEMAS } from './predict/predict.schemas';
import { Lanes } from './predict/lanes';
import { PredictHandler } from './predict/predict.handler';

/** How long connections without a request are left open for one that may be on its way. */
const IDLE_GRACE_MS = 1_000;
const SWEEP_MS = 100;
/** `sysexits.h`: something was found in an unconfigured or misconfigured state. */
const EX_CONFIG = 78;
/** Between the end of the drain and the end of the process: runners and PostgreSQL stop in it. */
const STOP_LIMIT_MS = 8_000;

/** The whole life of the server: settings, parts, HTTP, models, and an orderly end. */
export async function serve(): Promise<void> {
  const config = readConfig();
  const log = createLogger(config.telemetry);
  const stopping = new Promise<NodeJS.Signals>((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, resolve);
  });
  process.on('uncaughtException', (error) => fail(log, error, 'the server failed unexpectedly'));
  let platform: Platform;
  let app: NestExpressApplication;
  try {
    platform = await startPlatform(config, log);
    app = await startHttp(platform, config, log);
  } catch (error) {
    return fail(log, error, 'the server could not start');
  }
  if (config.server.unused.length > 0)
    log.warn({ settings: config.server.unused }, 'set, but nothing uses them in this version');
  const url = addressOf(app.getHttpServer() as Server, config.server.host);
  log.info({ url }, 'listening');
  platform.serveModels().then(
    () => {
      log.info({ startMs: Math.round(process.uptime() * 1000) }, 'ready');
      if (config.server.environment === 'development') process.stdout.write(banner(url, platform.adminKeyFile, config));
    },
    (error: unknown) => log.error({ err: error }, 'models could not be registered or loaded'),
  );
  const signal = await stopping;
  await stop({ app, platform, config, log }, signal);
}

function readConfig(): ApiConfig {
  try {
    return loadConfig();
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exit(EX_CONFIG);
  }
}

async function startHttp(platform: Platform, config: ApiConfig, log: Logger): Promise<NestExpressApplication> {
  const adapter = new ShapedExpressAdapter(config.http);
  const app = await NestFactory.create<NestExpressApplication>(ApiModule.of(platform, config), adapter, {
    logger: new NestLog(log),
    bodyParser: false,
    abortOnError: false,
  });
  layPipeline(app, platform, config);
  await app.init();
  const handler = app.get(PredictHandler);
  adapter.front = (request, response) => handler.take(request, response);
  app.get(Lanes).guard(app.getHttpServer() as Server);
  app.get(OpenApi).describe(app, { paths: {}, schemas: PREDICT_SCHEMAS });
  await app.listen(config.server.port, config.server.host);
  return app;
}

interface Running {
  readonly app: NestExpressApplication;
  readonly platform: Platform;
  readonly config: ApiConfig;
  readonly log: Logger;
}

/**
 * Not ready at once; connections are taken for the delay, so that load balancers notice; then what is under way is
 * answered, up to the limit; then everything that was started is stopped.
 */
async function stop({ app, platform, config, log }: Running, signal: NodeJS.Signals): Promise<void> {
  const { drainDelayMs, drainSeconds } = config.server;
  const server = app.getHttpServer() as Server;
  const drain = app.get(Drain);
  const lanes = app.get(Lanes);
  drain.state = 'draining';
  log.info({ signal }, 'draining');
  await pause(drainDelayMs);
  // An HTTP server's own close() cuts idle connections at once, and with them requests that are on their way already.
  const closed = new Promise<void>((resolve) => NetServer.prototype.close.call(server, () => resolve()));
  const limitMs = drainSeconds * 1000;
  await Promise.race([closed, pause(Math.min(IDLE_GRACE_MS, limitMs))]);
  const sweep = setInterval(() => {
    server.closeIdleConnections();
    lanes.closeIdle();
  }, SWEEP_MS);
  await Promise.race([closed, pause(Math.max(0, limitMs - IDLE_GRACE_MS))]);
  clearInterval(sweep);
  drain.state = 'stopped';
  server.closeAllConnections();
  lanes.closeAll();
  setTimeout(() => fail(log, new Error('stopping took too long'), 'the server was ended'), STOP_LIMIT_MS).unref();
  await app.close();
  await platform.close();
  log.info({}, 'stopped');
  process.exit(0);
}

function fail(log: Logger, error: unknown, message: string): void {
  log.fatal({ err: error }, message);
  // The embedded database and the runners end with this process, whatever way it ends.
  process.exit(1);
}

function addressOf(server: Server, host: string): string {
  const { port } = server.address() as AddressInfo;
  const name = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host.includes(':') ? `[${host}]` : host;
  return `http://${name}:${port}`;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
