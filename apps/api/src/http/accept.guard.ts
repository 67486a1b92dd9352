import { Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { accepts, acceptsJson, notAcceptable } from './accept';
import { ENDPOINT, type EndpointFacts } from './endpoint.decorator';
import type { ApiRequest } from './request-context';

/** Refuses, before any work, a request that could take neither JSON nor what else its route can answer. */
@Injectable()
export class AcceptGuard implements CanActivate {
  constructor(private readonly reflector: Reflector) {}

  canActivate(execution: ExecutionContext): boolean {
    const facts = this.reflector.get<EndpointFacts>(ENDPOINT, execution.getHandler());
    const { accept } = execution.switchToHttp().getRequest<ApiRequest>().headers;
    if (typeof facts.answer !== 'string' || acceptsJson(accept)) return true;
    const { answersAs: others = [] } = facts;
    // Which of them it is to be, the route knows by its query.
    if (others.some((type) => accepts(accept, type))) return true;
    throw notAcceptable(['application/json', ...others]);
  }
}
