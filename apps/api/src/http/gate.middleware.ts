import type { ServerResponse } from 'node:http';
import { credentialOf, Gate } from '@sibyl/auth';
import { DomainError, type Clock, type IdSource } from '@sibyl/kernel';
import { addressOf, arrive } from './arrival';
import type { AuditHook } from './audit-hook';
import { internalError } from './problem';
import type { ApiRequest } from './request-context';

/**
 * First of the ordinary stack: gives a request its context and its event, and finds out who calls, before a byte of the body
 * is read. Who may not pass is only noted here; the scope guard refuses, because public routes need no caller.
 */
export function gateMiddleware(gate: Gate, hook: AuditHook, clock: Clock, ids: IdSource) {
  return (request: ApiRequest, response: ServerResponse, next: () => void): void => {
    const context = arrive(request.headers, addressOf(request.socket), clock, ids);
    request.context = context;
    response.setHeader('X-Request-Id', context.requestId);
    if (request.method === 'OPTIONS') context.isPublic = true;
    hook.watch(request, response);
    const credential = credentialOf(request.headers);
    try {
      if (!context.isPublic) context.principal = gate.authenticate(credential, context.ip);
    } catch (error) {
      context.holder = gate.holderOf(credential);
      context.refusal = error instanceof DomainError ? error : internalError(error);
    }
    next();
  };
}
