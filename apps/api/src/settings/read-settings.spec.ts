import { availableParallelism } from 'node:os';
import { readSettings, SettingsError } from './read-settings';
import { SETTINGS } from './settings';

function problemsOf(variables: Record<string, string>): readonly string[] {
  try {
    readSettings(variables);
  } catch (error) {
    if (error instanceof SettingsError) return error.problems;
    throw error;
  }
  return [];
}

describe('settings', () => {
  it('need nothing to be set', () => {
    const settings = readSettings({});
    expect(settings).toMatchObject({
      host: '127.0.0.1',
      port: 8001,
      environment: 'development',
      workers: 1,
      defaultModel: 'momentum',
    });
    expect(settings.models).toEqual(['examples/models/*']);
    expect(settings.importFolders).toEqual([`${settings.dataDir}/import`]);
    expect(Object.isFrozen(settings)).toBe(true);
  });

  it('share the cores among workers, where nobody says otherwise', () => {
    const cores = availableParallelism();
    const runnersOf = (workers: number): number => readSettings({ SIBYL_WORKERS: String(workers) }).runners;
    expect([runnersOf(1), runnersOf(cores), runnersOf(64)]).toEqual([Math.max(1, Math.min(4, cores - 1)), 1, 1]);
    expect(readSettings({ SIBYL_WORKERS: '3', SIBYL_RUNNERS: '2' }).runners).toBe(2);
  });

  it('leave a runner the memory that it takes before it has a model', () => {
    const problems = problemsOf({ SIBYL_RUNNER_MEMORY_MIB: '64', SIBYL_TRIAL_MEMORY_MIB: '64' });
    expect(problems.join('\n')).toMatch(
      /RUNNER_MEMORY_MIB: expected a whole number from 128[^]*TRIAL_MEMORY_MIB: .*from 128/,
    );
  });

  it('lists all that is wrong at once, without repeating a value', () => {
    const problems = problemsOf({
      SIBYL_PORT: '80x',
      SIBYL_ENV: 'prodction',
      SIBYL_DRAIN_SECONDS: '-1',
      DATABASE_URL: 'mysql://root:hunter2@db/x',
      SIBYL_PROT: '8001',
      SIBYL_STRICT_TRANSPORT: 'yes',
    });
    expect(problems).toHaveLength(6);
    expect(problems.join('\n')).toMatch(/SIBYL_PORT: expected a whole number from 0 to 65535/);
    expect(problems.join('\n')).toMatch(/SIBYL_ENV: expected one of .*did you mean production/);
    expect(problems.join('\n')).toMatch(/SIBYL_PROT: there is no such setting \(did you mean SIBYL_PORT\?\)/);
    expect(problems.join('\n')).not.toContain('hunter2');
  });

  it('have stricter defaults in production', () => {
    expect(readSettings({ SIBYL_ENV: 'production' })).toMatchObject({
      drainDelayMs: 5000,
      models: [],
      defaultModel: undefined,
    });
    expect(readSettings({ SIBYL_ENV: 'testing' })).toMatchObject({ drainDelayMs: 0, models: [] });
  });

  it.each([
    ['SIBYL_LOG_LEVEL', 'debug'],
    ['SIBYL_CORS_ORIGINS', 'http://console.example'],
    ['SIBYL_IMPORT_FOLDERS', '/'],
    ['SIBYL_AUDIT_DURABILITY', 'relaxed'],
    ['DATABASE_URL', 'postgres://sibyl:sibyl@db/sibyl'],
    ['DATABASE_URL', 'postgres://app:postgres@db/sibyl'],
  ])('production refuses %s=%s by name, development takes it', (name, value) => {
    expect(problemsOf({ SIBYL_ENV: 'production', [name]: value })).toEqual([
      expect.stringContaining(`${name}: refused in production`),
    ]);
    expect(problemsOf({ [name]: value })).toEqual([]);
  });

  it.each(['postgres:///app?host=/run/db&user=app', 'postgres://app:x9!kd72@db/sibyl', 'postgres://app@db/sibyl'])(
    'production takes DATABASE_URL=%s',
    (url) => {
      expect(problemsOf({ SIBYL_ENV: 'production', DATABASE_URL: url })).toEqual([]);
    },
  );

  it('take the older names where the present ones are unset', () => {
    expect(
      readSettings({ MODEL_SERVER_PORT: '9000', MODEL_SERVER_HOST: '0.0.0.0', MODEL_SERVER_WORKERS: '2' }),
    ).toMatchObject({
      port: 9000,
      host: '0.0.0.0',
      workers: 2,
    });
    expect(readSettings({ MODEL_SERVER_PORT: '9000', SIBYL_PORT: '9001' }).port).toBe(9001);
    expect(problemsOf({ MODEL_SERVER_LOG_LEVEL: 'loud' })).toEqual([
      expect.stringContaining('MODEL_SERVER_LOG_LEVEL: expected one of'),
    ]);
  });

  it('count an empty value as unset, and an empty list as empty', () => {
    expect(readSettings({ SIBYL_PORT: '', SIBYL_MODELS: '' })).toMatchObject({ port: 8001, models: [] });
  });

  it('ignore variables of others', () => {
    expect(problemsOf({ PATH: '/bin', SIBYLLINE: 'x', TEST_DATABASE_URL: 'x' })).toEqual([]);
  });

  it('have names and meanings, each once', () => {
    const names = Object.values(SETTINGS).map((setting) => setting.name);
    expect(new Set(names).size).toBe(names.length);
    for (const setting of Object.values(SETTINGS)) expect(setting.meaning).toMatch(/^[A-Z].*[.]$/s);
  });
});
