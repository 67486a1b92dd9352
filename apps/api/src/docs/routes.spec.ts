import { MODULE_METADATA } from '@nestjs/common/constants.js';
import { MetadataScanner } from '@nestjs/core';
import { ROUTES } from '../../../../test/e2e/routes';
import { ENDPOINT } from '../http/endpoint.decorator';
import { routesOf } from '../http/route-table';
import { DocumentedModule } from './documented.module';

type Module =
  object | { readonly module: object; readonly controllers?: readonly object[]; readonly imports?: readonly Module[] };

/** All controllers of a module and of those that it imports, dynamic ones included; of a module that several import once. */
function controllersOf(module: Module, seen = new Set<Module>()): object[] {
  if (seen.has(module)) return [];
  seen.add(module);
  const described = 'module' in module ? module : { module };
  const { controllers = [], imports = [] } = described as {
    controllers?: readonly object[];
    imports?: readonly Module[];
  };
  const declared = (key: string): object[] =>
    (Reflect.getMetadata(key, described.module) as object[] | undefined) ?? [];
  return [
    ...controllers,
    ...declared(MODULE_METADATA.CONTROLLERS),
    ...[...imports, ...declared(MODULE_METADATA.IMPORTS)].flatMap((one) => controllersOf(one, seen)),
  ];
}

describe('routes', () => {
  const controllers = controllersOf(DocumentedModule);
  const routes = controllers.flatMap((controller) => routesOf(controller));
  const row = ([method, path, access]: readonly string[]): string => `${method} ${path} ${access}`;

  it('are exactly those of the hand-written table, with its scopes', () => {
    const running = routes.map(({ method, path, facts }) => row([method, path, facts.access]));
    expect(running.sort()).toEqual(ROUTES.map(row).sort());
  });

  it('exist once each', () => {
    const keys = routes.map(({ method, path }) => `${method} ${path}`);
    expect(new Set(keys).size).toBe(keys.length);
  });

  it.each(controllers.map((controller) => [(controller as { name: string }).name, controller]))(
    'of %s all have @Endpoint',
    (_name, controller) => {
      const prototype = (controller as { prototype: Record<string, object> }).prototype;
      const handlers = new MetadataScanner()
        .getAllMethodNames(prototype)
        .filter((name) => Reflect.hasMetadata('path', prototype[name] ?? {}));
      expect(handlers.length).toBeGreaterThan(0);
      for (const name of handlers) expect(Reflect.hasMetadata(ENDPOINT, prototype[name] ?? {})).toBe(true);
    },
  );

  it('name their action noun.verb', () => {
    for (const { facts } of routes) expect(facts.action).toMatch(/^[a-z]+\.[a-z]+$/);
  });

  it('hold keys to their models wherever the path names one', () => {
    for (const { path, facts } of routes) if (path.includes('/models/{name}')) expect(facts.model).toBe('name');
  });
});
