import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { newKeyText } from '@sibyl/auth/testing';
import { loadConfig, SettingsError } from './config';

describe('the configuration', () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'sibyl-config-'));
  afterAll(() => rmSync(folder, { recursive: true }));

  it('gives every library its own frozen options', () => {
    const config = loadConfig(
      { SIBYL_DATA_DIR: '/srv/sibyl', SIBYL_BODY_SECONDS: '5', SIBYL_AUTH_FAILURES: '7', SIBYL_ARTIFACT_BYTES: '2048' },
      folder,
    );
    expect(config.http).toMatchObject({ bodyTimeoutMs: 5000, artifactBytes: 2048 });
    expect(config.registry).toMatchObject({ artifactFolder: '/srv/sibyl/artifacts', artifactBytes: 2048 });
    expect(config.auth.failedAuthentications).toBe(7);
    expect(config.database.embeddedFolder).toBe('/srv/sibyl/postgres');
    expect(config.inference.runnerPath).toMatch(/runner\/main\.js$/);
    for (const options of Object.values(config))
      if (typeof options === 'object') expect(Object.isFrozen(options) || Array.isArray(options)).toBe(true);
  });

  it('reads .env of the folder, beneath the environment', () => {
    writeFileSync(path.join(folder, '.env'), 'SIBYL_PORT=9001\nSIBYL_HOST="0.0.0.0" # all\n');
    expect(loadConfig({ SIBYL_PORT: '9002' }, folder).server).toMatchObject({ port: 9002, host: '0.0.0.0' });
  });

  it('lists all five errors of a settings file', () => {
    const lines = ['SIBYL_PORT=eighty', 'SIBYL_ENV=live', 'SIBYL_WORKERS=0', 'SIBYL_JSON_DEPTH=1e9', 'SIBYL_UNKNOWN=1'];
    writeFileSync(path.join(folder, '.env'), lines.join('\n'));
    let problems: readonly string[] = [];
    try {
      loadConfig({}, folder);
    } catch (error) {
      problems = (error as SettingsError).problems;
    }
    expect(problems).toHaveLength(5);
    for (const name of ['SIBYL_PORT', 'SIBYL_ENV', 'SIBYL_WORKERS', 'SIBYL_JSON_DEPTH', 'SIBYL_UNKNOWN']) {
      expect(problems.join('\n')).toContain(name);
    }
  });

  it('refuses an admin key that lost a character, and takes a whole one', () => {
    writeFileSync(path.join(folder, '.env'), '');
    const key = newKeyText();
    expect(loadConfig({ SIBYL_ADMIN_KEY: key }, folder).adminKey).toBe(key);
    const damaged = `${key.slice(0, 20)}${key[20] === 'a' ? 'b' : 'a'}${key.slice(21)}`;
    expect(() => loadConfig({ SIBYL_ADMIN_KEY: damaged }, folder)).toThrow(/SIBYL_ADMIN_KEY: .*checksum/);
    expect(() => loadConfig({ SIBYL_ADMIN_KEY: damaged }, folder)).not.toThrow(new RegExp(damaged));
  });

  it('asks for separate database roles in production', () => {
    writeFileSync(path.join(folder, '.env'), '');
    expect(loadConfig({ SIBYL_ENV: 'production' }, folder).database.requireSeparateRoles).toBe(true);
    expect(loadConfig({}, folder).database.requireSeparateRoles).toBe(false);
  });

  it('gives each of several workers its share of the memory of models', () => {
    const memoryOf = (workers: string): number =>
      loadConfig({ SIBYL_MODEL_MEMORY: '1GiB', SIBYL_WORKERS: workers }, folder).prediction.modelMemoryBytes;
    expect([memoryOf('1'), memoryOf('4')]).toEqual([1024 ** 3, 1024 ** 3 / 4]);
    expect(() => memoryOf('64')).not.toThrow();
    expect(() => loadConfig({ SIBYL_MODEL_MEMORY: '16MiB', SIBYL_WORKERS: '2' }, folder)).toThrow(SettingsError);
  });

  it('fans events out through the Redis that is named', () => {
    expect(loadConfig({ REDIS_URL: 'redis://cache:6379' }, folder).features.redisUrl).toBe('redis://cache:6379');
    expect(loadConfig({}, folder).features.redisUrl).toBeUndefined();
  });

  it('keeps packages in a bucket where one is named', () => {
    expect(loadConfig({}, folder).registry).toMatchObject({ artifactPrefix: '' });
    expect(loadConfig({}, folder).registry.artifactBucket).toBeUndefined();
    const { registry } = loadConfig({ AWS_S3_BUCKET: 'models', SIBYL_ARTIFACT_PREFIX: 'of/sibyl' }, folder);
    expect(registry).toMatchObject({ artifactBucket: 'models', artifactPrefix: 'of/sibyl' });
    expect(() => loadConfig({ SIBYL_ARTIFACT_PREFIX: '/x' }, folder)).toThrow(/SIBYL_ARTIFACT_PREFIX/);
  });
});
