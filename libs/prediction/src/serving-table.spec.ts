import { DomainError } from '@sibyl/kernel';
import type { ServedVersion } from './served-version';
import { ServingTable, type ServedModel } from './serving-table';

const served = (version: string, servable = true): ServedVersion =>
  ({
    model: 'm',
    version,
    servable,
    facts: { status: servable ? 'validated' : 'archived' },
  }) as unknown as ServedVersion;

function table(model: Partial<ServedModel>): ServingTable {
  const none = { versions: new Map(), aliases: new Map(), revisions: new Map(), previous: new Set<ServedVersion>() };
  return new ServingTable(new Map([['m', { name: 'm', ...none, latest: undefined, ...model }]]));
}

const one = served('1.0.0');
const two = served('2.0.0');
const versions = new Map([
  ['1.0.0', one],
  ['2.0.0', two],
  ['0.9', served('0.9', false)],
]);
const full = table({
  versions,
  aliases: new Map([
    ['production', one],
    ['canary', two],
  ]),
  latest: two,
});

const codeOf = (work: () => unknown): string => {
  try {
    work();
  } catch (error) {
    return error instanceof DomainError ? error.code : 'another error';
  }
  return 'no error';
};

describe('ServingTable.resolve', () => {
  it('answers with production where no version is named, else with the latest', () => {
    expect(full.resolve('m', undefined)).toEqual({ served: one, alias: 'production' });
    expect(table({ versions, latest: two }).resolve('m', undefined)).toEqual({ served: two, alias: 'latest' });
  });

  it('finds exact versions, aliases, latest, and versions with a leading v', () => {
    expect(full.resolve('m', '2.0.0')).toEqual({ served: two, alias: undefined });
    expect(full.resolve('m', 'canary')).toEqual({ served: two, alias: 'canary' });
    expect(full.resolve('m', 'latest')).toEqual({ served: two, alias: 'latest' });
    expect(full.resolve('m', 'v1.0.0')).toEqual({ served: one, alias: undefined });
  });

  it('refuses what is unknown, with near names, and what may not serve', () => {
    expect(codeOf(() => full.resolve('n', undefined))).toBe('model_not_found');
    expect(() => full.resolve('mm', undefined)).toThrow(expect.objectContaining({ nearModels: ['m'] }) as Error);
    expect(codeOf(() => full.resolve('m', '3'))).toBe('version_not_found');
    expect(() => full.resolve('m', '1.0.1')).toThrow(/1\.0\.0/);
    expect(codeOf(() => full.resolve('m', '0.9'))).toBe('version_not_servable');
    expect(codeOf(() => table({}).resolve('m', undefined))).toBe('version_not_found');
    expect(codeOf(() => ServingTable.EMPTY.resolve('m', undefined))).toBe('model_not_found');
  });
});
