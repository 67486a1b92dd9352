import { createHash } from 'node:crypto';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** Any UUID that nobody else uses as a namespace (RFC 9562 §6.6). */
const NAMESPACE = Buffer.from('5f4c4f31c1d24c0f9a5f73696279c66c', 'hex');

/** The UUID of version 5 of a name (RFC 9562 §5.5). */
export function uuidOfName(name: string): string {
  const bytes = createHash('sha1').update(NAMESPACE).update(name).digest();
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x50;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = bytes.toString('hex', 0, 16);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** What a producer calls an event, as a UUID: its own, or one made of the name. */
export function uuidOfGivenId(id: string): string {
  return UUID.test(id) ? id.toLowerCase() : uuidOfName(`id\0${id}`);
}
