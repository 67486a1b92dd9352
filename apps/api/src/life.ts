import type { AddressInfo } from 'node:net';
import type { Logger } from '@sibyl/telemetry';
import { loadConfig, SettingsError, type ApiConfig } from '../config';

/** `sysexits.h`: something was found in an unconfigured or misconfigured state. */
const EX_CONFIG = 78;
/** Between the end of the drain and the end of the process: runners and PostgreSQL stop in it. */
export const STOP_LIMIT_MS = 8_000;

/** The settings, or the end of the process with all that is wrong with them. */
export function readConfig(): ApiConfig {
  try {
    return loadConfig();
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exit(EX_CONFIG);
  }
}

/** Resolves with the first signal that asks for an orderly end. */
export function stopSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, resolve);
  });
}

export function fail(log: Logger, error: unknown, message: string): void {
  log.fatal({ err: error }, message);
  // The embedded database, the runners and the workers end with this process, whatever way it ends.
  process.exit(1);
}

export function warnOfSettings({ audit }: ApiConfig, log: Logger): void {
  if (audit.durability === 'relaxed')
    log.warn(
      { lossWindowMs: audit.lossWindowMs },
      'audit durability is relaxed: a crash of the machine loses the events of predictions and feature reads answered in this window',
    );
}

/** Where the server is reached from this machine. */
export function addressOf({ port }: AddressInfo, host: string): string {
  const name = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host.includes(':') ? `[${host}]` : host;
  return `http://${name}:${port}`;
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
