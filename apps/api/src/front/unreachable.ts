import type { DomainError } from '@sibyl/kernel';
import { internalError } from '../http/problem';

/** Of a route that is only declared: nobody but a server that was put together without its front desk comes there. */
export function unreachable(): DomainError {
  return internalError(new Error('a request came past the front desk'));
}
