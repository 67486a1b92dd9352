import type { FieldDefinition, StreamDefinition } from '../definitions/feature-view';

const MINUTE = 60_000_000;
export const DAY = 86_400_000_000;

const field = (name: string): FieldDefinition => ({ name, type: 'double', nullable: false });

/** Streams for tests of the log: `candles`, of which a later event corrects, and `ticks`, which keeps all. */
export function streamDefinition(given: Partial<StreamDefinition> & { readonly name: string }): StreamDefinition {
  return {
    identity: 'event_id',
    fields: [field('price'), field('size')],
    allowedLateness: 10 * MINUTE,
    retention: 30 * DAY,
    rules: [],
    table: false,
    ...given,
  };
}
