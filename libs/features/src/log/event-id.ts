import { hash } from 'node:crypto';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/**
 * A namespace that nobody else uses (RFC 9562 §6.6): 73696279-6c2d-6665-6174-7572652d6964, of which every byte is a letter, so that
 * namespace and name are one text and are hashed in one call.
 */
const NAMESPACE = 'sibyl-feature-id';
const VARIANT = ['8', '9', 'a', 'b'];

/** The UUID of version 5 of a name (RFC 9562 §5.5). */
export function uuidOfName(name: string): string {
  const hex = hash('sha1', NAMESPACE + name);
  const variant = VARIANT[Number.parseInt(hex.charAt(16), 16) & 3] ?? '8';
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-5${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

/** What a producer calls an event, as a UUID: its own, or one made of the name. */
export function uuidOfGivenId(id: string): string {
  return UUID.test(id) ? id.toLowerCase() : uuidOfName(`id\0${id}`);
}
