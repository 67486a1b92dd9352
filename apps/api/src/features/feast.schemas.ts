import { listOf, object, text, truth, type Schema, type Schemas } from '../docs/schema';

const COLUMNS: Schema = {
  type: 'object',
  additionalProperties: { type: 'array', items: {} },
  description: 'Lists of the same length by their names',
};

export const FEAST_ONLINE_BODY: Schema = object({
  entities: { ...COLUMNS, description: 'Keys, and values that the request knows itself, by their names' },
  'features?': listOf(text('`view:feature`')),
  'feature_service?': text('Name of a set, in their stead'),
  'full_feature_names?': truth('`view__feature`'),
});

export const FEAST_ONLINE_EXAMPLE = {
  features: ['btc_technical:price', 'btc_technical:rsi'],
  entities: { symbol: ['BTC/USDT'] },
};

export const FEAST_PUSH_BODY: Schema = object({
  push_source_name: text('Name of a stream'),
  df: { ...COLUMNS, description: 'The key of the entity, `event_timestamp` and the fields of the stream, in columns' },
  'to?': text('Both are the same: one log serves both', { enum: ['online', 'online_and_offline'] }),
});

export const FEAST_PUSH_EXAMPLE = {
  push_source_name: 'candles_1m',
  df: {
    symbol: ['BTC/USDT'],
    event_timestamp: ['2026-01-15T10:30:00Z'],
    open: [44990],
    high: [45010],
    low: [44980],
    close: [45000],
    volume: [12.5],
  },
};

const STATUS = text(undefined, { enum: ['INVALID', 'PRESENT', 'NULL_VALUE', 'NOT_FOUND', 'OUTSIDE_MAX_AGE'] });

export const FEAST_SCHEMAS: Schemas = {
  FeastOnlineFeatures: object({
    results: listOf(
      object(
        { values: { type: 'array', items: {} }, statuses: listOf(STATUS), event_timestamps: listOf(text()) },
        { description: 'One key or feature over all entities' },
      ),
    ),
    metadata: object({ feature_names: listOf(text('In the order of the results')) }),
  }),
};
