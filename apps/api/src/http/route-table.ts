import { Injectable, RequestMethod, type OnApplicationBootstrap } from '@nestjs/common';
import { METHOD_METADATA, PATH_METADATA } from '@nestjs/common/constants.js';
import { DiscoveryService, MetadataScanner } from '@nestjs/core';
import { ENDPOINT, type EndpointFacts } from './endpoint.decorator';

/** One method of one path. */
export interface RouteEntry {
  readonly method: string;
  /** Pattern with parameters in braces: `/models/{name}/info`. */
  readonly path: string;
  readonly facts: EndpointFacts;
}

/** `/models/:name` and `/docs/*file` as OpenAPI, metrics and tests write them: `/models/{name}`, `/docs/{file}`. */
export function routePattern(path: string): string {
  return path.replace(/[:*](\w+)/g, '{$1}');
}

/** Every route that exists, so that a wrong method can be told from an unknown path. */
@Injectable()
export class RouteTable implements OnApplicationBootstrap {
  private readonly entries: (RouteEntry & { readonly matcher: RegExp })[] = [];

  constructor(
    private readonly discovery: DiscoveryService,
    private readonly scanner: MetadataScanner,
  ) {}

  onApplicationBootstrap(): void {
    for (const { metatype } of this.discovery.getControllers()) {
      if (typeof metatype === 'function') for (const entry of routesOf(metatype, this.scanner)) this.add(entry);
    }
  }

  /** For routes that are served outside of controllers: the hot handler. */
  add(entry: RouteEntry): void {
    this.entries.push({ ...entry, matcher: matcherOf(entry.path) });
  }

  all(): readonly RouteEntry[] {
    return this.entries;
  }

  /** The routes of a path, whatever their method. */
  at(path: string): readonly RouteEntry[] {
    return this.entries.filter((entry) => entry.matcher.test(path));
  }
}

/** The routes of one controller, read from its decorators. */
export function routesOf(controller: object, scanner = new MetadataScanner()): RouteEntry[] {
  const prototype = (controller as { prototype: Record<string, object> }).prototype;
  const prefixes = listOf(Reflect.getMetadata(PATH_METADATA, controller));
  return scanner.getAllMethodNames(prototype).flatMap((name) => {
    const handler = prototype[name] as object;
    const facts = Reflect.getMetadata(ENDPOINT, handler) as EndpointFacts | undefined;
    const verb = Reflect.getMetadata(METHOD_METADATA, handler) as RequestMethod | undefined;
    if (facts === undefined || verb === undefined) return [];
    const method = RequestMethod[verb] ?? 'GET';
    return prefixes.flatMap((prefix) =>
      listOf(Reflect.getMetadata(PATH_METADATA, handler)).map((path) => ({ method, path: join(prefix, path), facts })),
    );
  });
}

function listOf(metadata: unknown): string[] {
  if (Array.isArray(metadata)) return metadata as string[];
  return [typeof metadata === 'string' ? metadata : ''];
}

function join(prefix: string, path: string): string {
  const parts = [prefix, path].flatMap((part) => part.split('/')).filter((part) => part !== '');
  return routePattern(`/${parts.join('/')}`);
}

/** A trailing slash makes no difference; a parameter is one segment. */
function matcherOf(pattern: string): RegExp {
  const source = pattern
    .split('/')
    .map((segment) => (segment.startsWith('{') ? '[^/]+' : escape(segment)))
    .join('/');
  return new RegExp(`^${source === '/' ? '' : source}/?$`);
}

function escape(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
