import { Injectable } from '@nestjs/common';
import { DomainError } from '@sibyl/kernel';
import type { ApiRequest } from './request-context';
import { RouteTable, type RouteEntry } from './route-table';
import { keyMissing } from './scope.guard';

/** The answer to a request that no route took. */
export interface Unmatched {
  readonly error: DomainError;
  readonly allow?: string;
}

/** Tells an unknown path from a wrong method, and tells neither to a caller without a valid key. */
@Injectable()
export class UnmatchedRequests {
  constructor(private readonly routes: RouteTable) {}

  explain(request: ApiRequest): Unmatched {
    const { context } = request;
    const found = this.routes.at(request.path);
    context.isPublic = found.some(isPublic) || UNDER_DOCS.test(request.path);
    if (!context.isPublic && context.principal === undefined) return { error: context.refusal ?? keyMissing() };
    if (found.length === 0) return { error: new DomainError('route_not_found', 'There is no route with this path.') };
    const allow = allowOf(found);
    context.route = found[0]?.path;
    return { error: new DomainError('method_not_allowed', `This path takes ${allow}.`), allow };
  }
}

const UNDER_DOCS = /^\/docs(\/|$)/;

function isPublic(entry: RouteEntry): boolean {
  return entry.facts.access === 'public';
}

function allowOf(entries: readonly RouteEntry[]): string {
  const methods = new Set(entries.flatMap(({ method }) => (method === 'GET' ? ['GET', 'HEAD'] : [method])));
  return [...methods].join(', ');
}
