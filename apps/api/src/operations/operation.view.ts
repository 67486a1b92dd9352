import { timestamp, type DomainError } from '@sibyl/kernel';
import { statusOf } from '../http/problem';
import type { Operation } from './operation';

export function toOperationView(operation: Operation): Record<string, unknown> {
  return {
    id: operation.id,
    kind: operation.kind,
    status: operation.status,
    progress: operation.progress,
    started_at: timestamp(operation.startedAtMs),
    ...(operation.endedAtMs === undefined ? {} : { ended_at: timestamp(operation.endedAtMs) }),
    ...(operation.result === undefined ? {} : { result: operation.result }),
    ...(operation.error === undefined ? {} : { error: toErrorView(operation.error) }),
  };
}

/** The file that a view of an operation offers; undefined: it has none, or not yet. */
export function fileOf({ status, result }: Record<string, unknown>): string | undefined {
  const name = (result as { readonly file?: unknown } | undefined)?.file;
  return status === 'succeeded' && typeof name === 'string' ? name : undefined;
}

/** The same where its file is gone: the result says what it was, and not where it is fetched. */
export function withoutFile(operation: Record<string, unknown>): Record<string, unknown> {
  const result = { ...(operation['result'] as Record<string, unknown>) };
  delete result['href'];
  delete result['expires_at'];
  return { ...operation, result };
}

/** What a problem would have said, without the members that belong to a request. */
function toErrorView(error: DomainError): Record<string, unknown> {
  return {
    code: error.code,
    status: statusOf(error.code),
    detail: error.detail,
    ...(error.faults === undefined ? {} : { errors: error.faults }),
  };
}
