import { Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { ROUTE_ARGS_METADATA } from '@nestjs/common/constants.js';
import { RouteParamtypes } from '@nestjs/common/enums/route-paramtypes.enum.js';
import type { ApiRequest } from './request-context';
import { unknownFields } from './validation.pipe';

/**
 * Refuses any query on a route that takes none; where a route has a query class, validation refuses what that does not know.
 * Public routes take what load balancers and browsers append.
 */
@Injectable()
export class QueryGuard implements CanActivate {
  canActivate(execution: ExecutionContext): boolean {
    const request = execution.switchToHttp().getRequest<ApiRequest>();
    if (request.context.isPublic || takesQuery(execution)) return true;
    refuseQuery(Object.keys(request.query));
    return true;
  }
}

/** Of a route that takes no query. Throws unknown_field where there is one. */
export function refuseQuery(names: readonly string[]): void {
  if (names.length === 0) return;
  const faults = names.slice(0, FAULTS).map((name) => ({
    pointer: `/${name.slice(0, 128).replace(/~/g, '~0').replace(/\//g, '~1')}`,
    expected: 'no query',
    received: 'a parameter that does not exist',
  }));
  throw unknownFields(faults, faults);
}

const FAULTS = 64;

/** Nest keeps the parameters of a method as `<kind>:<index>`. */
function takesQuery(execution: ExecutionContext): boolean {
  const parameters = Reflect.getMetadata(ROUTE_ARGS_METADATA, execution.getClass(), execution.getHandler().name) as
    object | undefined;
  return Object.keys(parameters ?? {}).some((key) => key.startsWith(`${RouteParamtypes.QUERY}:`));
}
