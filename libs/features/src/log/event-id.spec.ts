import { createHash } from 'node:crypto';
import { isUuid } from '@sibyl/kernel';
import { uuidOfGivenId, uuidOfName } from './event-id';

describe('ids of events', () => {
  it('are UUIDs of version 5 by the book', () => {
    const namespace = Buffer.from('736962796c2d666561747572652d6964', 'hex');
    const bytes = createHash('sha1').update(namespace).update('größe\0x').digest().subarray(0, 16);
    bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x50;
    bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
    const id = uuidOfName('größe\0x');
    expect(id.replaceAll('-', '')).toBe(bytes.toString('hex'));
    expect(isUuid(id)).toBe(true);
  });

  it('stay what they are where they are UUIDs, in lower case', () => {
    const given = '0199AAAA-0000-7000-8000-00000000000A';
    expect(uuidOfGivenId(given)).toBe(given.toLowerCase());
    expect(uuidOfGivenId('order-7')).toBe(uuidOfGivenId('order-7'));
    expect(uuidOfGivenId('order-7')).not.toBe(uuidOfGivenId('order-8'));
  });
});
