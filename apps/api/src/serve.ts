import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { createLogger, type Logger } from '@sibyl/telemetry';
import { ApiModule } from '../api.module';
import type { ApiConfig } from '../config';
import { banner } from './banner';
import { OpenApi } from './docs/openapi';
import { FrontDesk } from './front/front-desk';
import { Lanes } from './front/lanes';
import { Drain } from './http/drain';
import { layPipeline } from './http/pipeline';
import { ShapedExpressAdapter } from './http/shaped-express.adapter';
import { addressOf, fail, pause, STOP_LIMIT_MS, stopSignal, warnOfSettings } from './life';
import { NestLog } from './nest-log';
import { adminKeyFileOf, startPlatform, type Platform } from './platform';
import { DealtPort, OwnPort, type Port } from './port';
import { PREDICT_SCHEMAS } from './predict/predict.schemas';
import type { Siblings } from './workers/siblings';
import { WorkerLink } from './workers/worker-link';

/** How long connections without a request are left open for one that may be on its way. */
const IDLE_GRACE_MS = 1_000;
const SWEEP_MS = 100;

/** A server up to its HTTP side. */
interface Running {
  readonly app: NestExpressApplication;
  readonly platform: Platform;
  readonly port: Port;
  readonly config: ApiConfig;
  readonly log: Logger;
}

/** The whole life of a server of one process: parts, HTTP, models, and an orderly end. */
export async function serve(config: ApiConfig): Promise<void> {
  const log = createLogger(config.telemetry);
  const stopping = stopSignal();
  const running = await start(config, log, new OwnPort(config.server));
  if (running === undefined) return;
  const { app, platform } = running;
  warnOfSettings(config, log);
  const url = addressOf((app.getHttpServer() as Server).address() as AddressInfo, config.server.host);
  log.info({ url }, 'listening');
  const served = platform.registerModels().then(() => platform.serveModels());
  served.then(
    () => {
      log.info({ startMs: Math.round(process.uptime() * 1000) }, 'ready');
      if (config.server.environment === 'development')
        process.stdout.write(banner(url, adminKeyFileOf(config), config));
    },
    (error: unknown) => notServed(log, error),
  );
  await stop(running, await stopping);
}

/** The life of one of several workers: the same, but that the primary has the port and the last word. */
export async function serveAsWorker(): Promise<void> {
  // A signal to the group reaches this process too; when to end is the primary's to say.
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => undefined);
  const { link, begin } = await WorkerLink.begin();
  const log = createLogger(begin.config.telemetry).child({ worker: begin.index });
  const running = await start(begin.config, log, new DealtPort(link), link);
  if (running === undefined) return;
  if (link.index === 1 && !begin.registered)
    running.platform.registerModels().then(
      () => link.tell('registered', undefined),
      (error: unknown) => notServed(log, error),
    );
  const served = link.registered.then(() => running.platform.serveModels());
  served.then(
    () => {
      log.info({ startMs: Math.round(process.uptime() * 1000) }, 'the worker is ready');
      link.say('ready');
    },
    (error: unknown) => notServed(log, error),
  );
  await stop(running, await link.drained);
}

/** Undefined where it failed; then the process is about to end. */
async function start(config: ApiConfig, log: Logger, port: Port, siblings?: Siblings): Promise<Running | undefined> {
  process.on('uncaughtException', (error) => fail(log, error, 'the server failed unexpectedly'));
  try {
    const platform = await startPlatform(config, log, siblings);
    const app = await startHttp(platform, config, log);
    await port.open(app);
    return { app, platform, port, config, log };
  } catch (error) {
    fail(log, error, 'the server could not start');
    return undefined;
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
  const desk = app.get(FrontDesk);
  adapter.front = (request, response) => desk.take(request, response);
  app.get(Lanes).guard(app.getHttpServer() as Server);
  app.get(OpenApi).describe(app, { paths: {}, schemas: PREDICT_SCHEMAS });
  return app;
}

function notServed(log: Logger, error: unknown): void {
  log.error({ err: error }, 'models could not be registered or loaded');
}

/**
 * Not ready at once; connections are taken for the delay, so that load balancers notice; then what is under way is
 * answered, up to the limit; then everything that was started is stopped.
 */
async function stop({ app, platform, port, config, log }: Running, signal: NodeJS.Signals): Promise<void> {
  const { drainDelayMs, drainSeconds } = config.server;
  const server = app.getHttpServer() as Server;
  const drain = app.get(Drain);
  const lanes = app.get(Lanes);
  drain.state = 'draining';
  log.info({ signal }, 'draining');
  await pause(drainDelayMs);
  const closed = port.close(server);
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
  port.cut();
  setTimeout(() => fail(log, new Error('stopping took too long'), 'the server was ended'), STOP_LIMIT_MS).unref();
  await app.close();
  await platform.close();
  log.info({}, 'stopped');
  process.exit(0);
}
