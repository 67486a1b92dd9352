import { FACT_SOURCES, LINEAGE_KINDS, VALUE_STATUSES } from '@sibyl/features';
import { ANYTHING, listOf, number, object, text, type Schemas } from '../docs/schema';

const NAMES = listOf(text());

const FACTS = object({
  'value?': { description: 'Of a feature, and of what the request gave' },
  'status?': text(undefined, { enum: [...VALUE_STATUSES] }),
  'source?': text('Where the model had the value from', { enum: [...FACT_SOURCES] }),
  'events?': listOf(
    object({
      entity: text(),
      'event_id?': text(),
      'event_time?': text(),
      'age_seconds?': number('At the moment that was asked about'),
      'ingested_at?': text('The latest arrival of all that was known'),
    }),
  ),
  'at?': text('Of a set: the moment that was asked about'),
  'known_at?': text(),
  'digest?': text('Of a model'),
  'occurred_at?': text('Of a prediction'),
});

export const LINEAGE_SCHEMAS: Schemas = {
  FeatureLineage: object({
    'nodes?': listOf(
      object({
        id: text('The same as long as what it names does not change'),
        kind: text(undefined, { enum: [...LINEAGE_KINDS] }),
        name: text('`candles_1m.close`, `rsi(close) period=14`, `btc_technical:rsi`, `momentum`'),
        'version?': text('Of a feature and a set the first digits of its hash, of a model its version'),
        'stream?': text('Of a field'),
        'facts?': FACTS,
      }),
    ),
    'edges?': listOf(
      object({
        from: text('Id of what the other is made of'),
        to: text('Id of who needs it'),
        'as?': text('What a set calls a feature'),
      }),
    ),
    'impact?': object({
      ...{ of: text('What would go'), features: NAMES, sets: NAMES, models: NAMES, aliases: NAMES },
      rules: {
        ...listOf(object({ view: text(), target: text(), rule: text(), action: text() })),
        description: 'Of the stream, that ask about it',
      },
    }),
    'events?': listOf({
      ...ANYTHING,
      description: 'With `format=openlineage`: JobEvents of OpenLineage 2-0-2, and a RunEvent for a prediction',
    }),
  }),
};
