import { Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { acceptsJson, notAcceptable } from './accept';
import { ENDPOINT, type EndpointFacts } from './endpoint.decorator';
import type { ApiRequest } from './request-context';

/** Refuses, before any work, a request that could not take the JSON it would get. */
@Injectable()
export class AcceptGuard implements CanActivate {
  constructor(private readonly reflector: Reflector) {}

  canActivate(execution: ExecutionContext): boolean {
    const facts = this.reflector.get<EndpointFacts>(ENDPOINT, execution.getHandler());
    const { accept } = execution.switchToHttp().getRequest<ApiRequest>().headers;
    if (typeof facts.answer === 'string' && !acceptsJson(accept)) throw notAcceptable();
    return true;
  }
}
