import { Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { Gate, type Scope } from '@sibyl/auth';
import { DomainError, invariant } from '@sibyl/kernel';
import { ENDPOINT, type EndpointFacts } from './endpoint.decorator';
import type { ApiRequest } from './request-context';
import { routePattern } from './route-table';

/** Default deny: a route says who may call it, or nobody may. Also tells the request which route it has become. */
@Injectable()
export class ScopeGuard implements CanActivate {
  constructor(
    private readonly reflector: Reflector,
    private readonly gate: Gate,
  ) {}

  canActivate(execution: ExecutionContext): boolean {
    const request = execution.switchToHttp().getRequest<ApiRequest>();
    const facts = this.reflector.get<EndpointFacts | undefined>(ENDPOINT, execution.getHandler());
    invariant(facts, `${execution.getClass().name}.${execution.getHandler().name} has no @Endpoint`);
    const { context } = request;
    const route = request.route as { path: string };
    context.route = routePattern(route.path);
    context.action = facts.action;
    if (facts.access === 'public') {
      context.isPublic = true;
      return true;
    }
    if (context.principal === undefined) throw context.refusal ?? keyMissing();
    const model = parameter(request, facts.model);
    if (facts.resource !== undefined)
      context.resource = { type: facts.resource[0], id: parameter(request, facts.resource[1]) ?? '' };
    if (model !== undefined) context.model = { name: model, version: parameter(request, 'version') };
    const scopes = scopesOf(facts);
    if (scopes.length > 0) this.gate.authorize(context.principal, scopes, model);
    return true;
  }
}

/** Scopes of which one is enough; none where any key will do. */
function scopesOf({ access, alsoFor }: EndpointFacts): Scope[] {
  if (access === 'any key' || access === 'public') return [];
  return alsoFor === undefined ? [access] : [access, alsoFor];
}

/** A path parameter, short enough for an event: nothing that exists has a longer name. */
function parameter(request: ApiRequest, name: string | undefined): string | undefined {
  const value = name === undefined ? undefined : request.params[name];
  return typeof value === 'string' ? value.slice(0, 256) : undefined;
}

/** The refusal of a request that brought no key. */
export function keyMissing(): DomainError {
  return new DomainError('key_missing', 'Send an API key as X-API-Key, as a bearer token or as a Basic password.');
}
