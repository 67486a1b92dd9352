import { Injectable } from '@nestjs/common';
import { Gate } from '@sibyl/auth';
import { DomainError } from '@sibyl/kernel';
import { internalError } from './problem';
import type { ApiRequest, RequestContext } from './request-context';
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
  constructor(
    private readonly routes: RouteTable,
    private readonly gate: Gate,
  ) {}

  explain(request: ApiRequest): Unmatched {
    const { context } = request;
    const found = this.routes.at(request.path);
    context.isPublic = found.some(isPublic) || UNDER_DOCS.test(request.path);
    if (!context.isPublic && context.principal === undefined) return { error: context.refusal ?? keyMissing() };
    const refusal = this.admit(context);
    if (refusal !== undefined) return { error: refusal };
    if (found.length === 0) return { error: new DomainError('route_not_found', 'There is no route with this path.') };
    const allow = allowOf(found);
    context.route = found[0]?.path;
    return { error: new DomainError('method_not_allowed', `This path takes ${allow}.`), allow };
  }

  /** A key's limit holds for paths that do not exist as well, because each such request leaves an event. */
  private admit(context: RequestContext): DomainError | undefined {
    if (context.isPublic || context.principal === undefined) return undefined;
    try {
      context.limitState = this.gate.admit(context.principal);
      return undefined;
    } catch (error) {
      return error instanceof DomainError ? error : internalError(error);
    }
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
