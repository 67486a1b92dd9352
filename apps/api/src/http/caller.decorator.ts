import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { Principal } from '@sibyl/auth';
import { invariant } from '@sibyl/kernel';
import type { ApiRequest } from './request-context';

/** The authenticated principal; its `actor` is the first argument of whatever changes something. */
export const Caller = createParamDecorator((_: unknown, execution: ExecutionContext): Principal => {
  const { principal } = execution.switchToHttp().getRequest<ApiRequest>().context;
  invariant(principal, 'a route that needs its caller is public');
  return principal;
});
