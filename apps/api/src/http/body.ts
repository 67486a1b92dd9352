import { readFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { DomainError } from '@sibyl/kernel';
import { BodyRoom } from './body-room';
import { heldBody } from './held-file';

export interface BodyLimits {
  readonly bytes: number;
  readonly timeoutMs: number;
}

/** Whether the request announces a body at all (RFC 9112 §6). */
export function hasBody(request: IncomingMessage): boolean {
  if (request.headers['transfer-encoding'] !== undefined) return true;
  const length = request.headers['content-length'];
  return length !== undefined && length !== '0';
}

/** What a request says about its body. */
interface TypedRequest {
  readonly headers: {
    readonly 'content-type'?: string | undefined;
    readonly 'content-encoding'?: string | undefined;
  };
}

/** Refuses what is not plain JSON in UTF-8: a compressed body could grow beyond any limit, another charset be misread. */
export function checkJsonType(request: TypedRequest): void {
  refuseEncoding(request);
  if (request.headers['content-type'] === 'application/json') return;
  const [type = '', ...parameters] = (request.headers['content-type'] ?? '')
    .split(';')
    .map((part) => part.trim().toLowerCase());
  if (type !== 'application/json') {
    throw new DomainError('unsupported_media_type', 'Send the body as application/json.');
  }
  const charset = parameters.find((parameter) => parameter.startsWith('charset='));
  if (charset !== undefined && !UTF8.has(charset.slice('charset='.length))) {
    throw new DomainError('unsupported_media_type', 'Send the body in UTF-8.');
  }
}

const UTF8 = new Set(['utf-8', '"utf-8"', 'utf8', '"utf8"']);

export function refuseEncoding(request: TypedRequest): void {
  if (request.headers['content-encoding'] !== undefined) {
    throw new DomainError('unsupported_media_type', 'Send the body without Content-Encoding.');
  }
}

/**
 * Collects a body up to its limits. A declared length is checked before the first byte is read. `growing` hears how many bytes there will
 * be with the next piece, and may throw.
 */
export function readBody(
  request: IncomingMessage,
  limits: BodyLimits,
  growing?: (bytes: number) => void,
): Promise<Buffer> {
  const held = heldBody(request);
  if (held !== undefined) return readFile(held);
  if (Number(request.headers['content-length'] ?? 0) > limits.bytes) return Promise.reject(tooLarge(limits.bytes));
  return new Promise((resolve, reject) => {
    const announced = Number(request.headers['content-length'] ?? limits.bytes);
    const room = new BodyRoom(Number.isSafeInteger(announced) ? announced : limits.bytes);
    const end = (settle: () => void): void => {
      clearTimeout(timer);
      request.off('data', onData).off('end', onEnd).off('close', onClose).off('error', onClose);
      settle();
    };
    const onData = (chunk: Buffer): void => {
      try {
        const bytes = room.length + chunk.length;
        if (bytes > limits.bytes) throw tooLarge(limits.bytes);
        growing?.(bytes);
        room.add(chunk);
      } catch (error) {
        end(() => reject(error as Error));
      }
    };
    const onEnd = (): void => end(() => resolve(room.take()));
    const onClose = (): void => end(() => reject(bodyCutOff()));
    const timer = setTimeout(() => end(() => reject(tooSlow(limits.timeoutMs))), limits.timeoutMs);
    request.on('data', onData).on('end', onEnd).on('close', onClose).on('error', onClose);
  });
}

export function tooLarge(limitBytes: number): DomainError {
  return new DomainError('body_too_large', `The body may have ${limitBytes} bytes on this route.`);
}

export function bodyCutOff(): DomainError {
  return new DomainError('malformed_json', 'The body ended before it was complete.');
}

export function tooSlow(limitMs: number): DomainError {
  return new DomainError('request_timeout', `The body did not arrive within ${limitMs / 1000} seconds.`);
}
