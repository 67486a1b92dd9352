import { DomainError } from '@sibyl/kernel';
import { redact } from './redaction';

/**
 * Names of the fields that a log line may have. A list of what is allowed, because a list of what is secret is never
 * complete: anything else is left out and only its name is kept, under `left_out`.
 */
const ALLOWED = new Set([
  ...[
    'action',
    'bytes',
    'chain',
    'channel',
    'code',
    'damaged',
    'digest',
    'entities',
    'epoch',
    'exit_code',
    'expected',
    'file',
    'folder',
    'found',
    'host',
    'key',
    'key_id',
    'kind',
  ],
  ...[
    'limit_ms',
    'line',
    'load_ms',
    'loss',
    'loss_window_ms',
    'message',
    'method',
    'migration',
    'migrations',
    'model',
    'name',
    'operation_id',
  ],
  ...[
    'outcome',
    'partition',
    'pid',
    'place',
    'port',
    'prediction_id',
    'provider',
    'reason',
    'reasons',
    'refused',
    'remedy',
    'request_id',
    'route',
    'runners',
  ],
  ...[
    'seconds',
    'setting',
    'settings',
    'signal',
    'start_ms',
    'state',
    'status',
    'stderr',
    'took_ms',
    'trace_id',
    'uri',
    'url',
    'user',
    'version',
    'worker',
    'workers',
  ],
]);

/** How deep the causes of an error are followed. */
const CAUSES = 4;

/** Makes the fields of one line: known names in snake_case, plain values, errors by their own allow-list. */
export function logFields(fields: Record<string, unknown>): Record<string, unknown> {
  const line: Record<string, unknown> = {};
  const leftOut: string[] = [];
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined) continue;
    const known = snakeCase(name);
    if (value instanceof Error || known === 'err') line['error'] = errorFields(value);
    else if (ALLOWED.has(known)) line[known] = plain(value);
    else leftOut.push(known);
  }
  if (leftOut.length > 0) line['left_out'] = leftOut.slice(0, 16);
  return line;
}

/** What a line tells of an error. Driver errors carry rows and statements beside their message; those stay out. */
function errorFields(thrown: unknown, depth = 0): Record<string, unknown> {
  if (!(thrown instanceof Error)) return { message: redact(String(thrown)) };
  const code: unknown = 'code' in thrown ? thrown.code : undefined;
  return {
    type: thrown.name,
    message: redact(thrown.message),
    ...(typeof code === 'string' ? { code } : {}),
    // The stack of a DomainError tells where it was thrown on purpose; its cause has the interesting one.
    ...(thrown instanceof DomainError && thrown.cause !== undefined ? {} : { stack: redact(thrown.stack ?? '') }),
    ...(thrown.cause !== undefined && depth < CAUSES ? { cause: errorFields(thrown.cause, depth + 1) } : {}),
  };
}

function plain(value: unknown): unknown {
  if (typeof value === 'string') return redact(value);
  if (typeof value === 'number' || typeof value === 'boolean' || value === null) return value;
  if (typeof value === 'bigint') return value.toString();
  if (Array.isArray(value))
    return value.slice(0, 32).map((entry) => (typeof entry === 'object' ? '[object]' : plain(entry)));
  return '[object]';
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]+/g, (letters) => `_${letters.toLowerCase()}`);
}
