import path from 'node:path';
import { nearestWords } from '@sibyl/kernel';
import type { Environment, Setting, Surroundings } from './setting';
import { SETTINGS, type Settings } from './settings';

export type Variables = Readonly<Record<string, string | undefined>>;

/** Everything that is wrong with the settings, one line each. */
export class SettingsError extends Error {
  constructor(readonly problems: readonly string[]) {
    super(
      `${problems.length} ${problems.length === 1 ? 'setting is' : 'settings are'} wrong:\n${problems.map((line) => `  ${line}`).join('\n')}`,
    );
    this.name = 'SettingsError';
  }
}

/** Reads all settings at once and reports all that is wrong at once. */
export function readSettings(variables: Variables): Settings {
  const reader = new Reader(variables);
  const environment =
    reader.read(SETTINGS.environment, { environment: 'development', dataDir: '', workers: 1 }) ?? 'production';
  const start = { environment, dataDir: path.resolve('.sibyl'), workers: 1 };
  const surroundings = {
    environment,
    dataDir: reader.read(SETTINGS.dataDir, start) ?? start.dataDir,
    workers: reader.read(SETTINGS.workers, start) ?? start.workers,
  };
  const values = Object.entries(SETTINGS).map(([name, setting]) => [
    name,
    reader.read(setting as Setting<unknown>, name === 'dataDir' ? start : surroundings),
  ]);
  const problems = [...unknownNames(variables), ...reader.problems];
  if (problems.length > 0) throw new SettingsError(problems);
  return Object.freeze(Object.fromEntries(values)) as Settings;
}

/** Keeps each problem once, although two settings are read twice. */
class Reader {
  private readonly found = new Map<string, string>();

  constructor(private readonly variables: Variables) {}

  get problems(): string[] {
    return [...this.found.values()];
  }

  read<T>(setting: Setting<T>, surroundings: Surroundings): T | undefined {
    const name = this.nameOf(setting);
    const text = name === undefined ? undefined : this.variables[name];
    if (name === undefined || text === undefined) return setting.fallback(surroundings);
    try {
      const value = setting.parse(text.trim());
      this.refuseUnsafe(setting, value, name, surroundings.environment);
      return value;
    } catch (error) {
      // The value itself stays out: it may be a password in the wrong place.
      this.found.set(setting.name, `${name}: expected ${error instanceof Error ? error.message : 'another value'}`);
      return undefined;
    }
  }

  /** The name that has a value: the setting's own before the older one. Empty counts as unset, except for lists. */
  private nameOf(setting: Pick<Setting<never>, 'name' | 'older' | 'type'>): string | undefined {
    const given = (name: string): boolean => {
      const text = this.variables[name];
      return text !== undefined && (text.trim() !== '' || setting.type.startsWith('comma-separated'));
    };
    return [setting.name, setting.older].find((name) => name !== undefined && given(name));
  }

  private refuseUnsafe<T>(setting: Setting<T>, value: T, name: string, environment: Environment): void {
    const reason = environment === 'production' ? setting.unsafe?.(value) : undefined;
    if (reason !== undefined) this.found.set(setting.name, `${name}: refused in production, because ${reason}`);
  }
}

function unknownNames(variables: Variables): string[] {
  const known = new Set(Object.values(SETTINGS).map((setting) => setting.name as string));
  return Object.keys(variables)
    .filter((name) => name.startsWith('SIBYL_') && !known.has(name))
    .map((name) => {
      const near = nearestWords(name, known)[0];
      return `${name}: there is no such setting${near === undefined ? '' : ` (did you mean ${near}?)`}`;
    });
}
