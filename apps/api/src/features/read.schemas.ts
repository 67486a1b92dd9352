import { READ_TIERS, TRAINING_FORMATS, VALUE_SOURCES, VALUE_STATUSES } from '@sibyl/features';
import { BEYOND_RETENTION, READ_REASONS, READ_REASON_TEXT } from './read-reasons';
import {
  ANYTHING,
  INSTANT,
  listOf,
  object,
  orNull,
  text,
  truth,
  whole,
  type Schema,
  type Schemas,
} from '../docs/schema';

const VALUE: Schema = { description: 'A number, a text, a boolean, a list of them, or null' };
const STATUS = text('How the value was come by', { enum: [...VALUE_STATUSES] });
const SOURCE = text(undefined, { enum: [...VALUE_SOURCES] });
const ENTITY: Schema = { type: 'object', additionalProperties: true, description: 'Keys by the names of entities' };
const TIME: Schema = { type: ['string', 'integer'], description: 'RFC 3339 with a zone, or milliseconds since 1970' };
const MOMENT = {
  'timestamp?': { ...TIME, description: 'The moment that is asked about; left out: now' },
  'known_at?': { ...TIME, description: 'Whose knowledge counts: the moment itself unless said otherwise, or `now`' },
  'timeout_ms?': whole(
    'How long the log may take; what has not come by then is TIMEOUT. Left out: 250, of a moment of the past 2000',
  ),
};
const SET = {
  'set?': text('Name of a feature set, or `name@` and the beginning of a hash'),
  'service?': text('The same as `set`; not both'),
};
const GIVEN: Schema = {
  type: ['object', 'array'],
  description:
    'Values that the request knows itself, by name, each feature by one of its names: one object for all entities, or a list with one for each',
};

export const ONLINE_BODY: Schema = object({
  ...SET,
  'features?': {
    oneOf: [listOf(text('`view:feature`')), { type: 'object', additionalProperties: true }],
    description: 'Without a set, what is read. Beside a set an object: the same as `given` for all entities',
  },
  entities: { type: 'array', minItems: 1, maxItems: 1000, items: ENTITY },
  'given?': GIVEN,
  ...MOMENT,
  'max_staleness?': {
    type: 'object',
    additionalProperties: { type: 'string' },
    description:
      'For this read: features by name, and how old each may be at most (`30s`, `10m`, `1h`). Older is STALE; a `ttl` that is shorter stays',
  },
  'include?': { ...listOf(text(undefined, { enum: ['meta'] })), description: 'What else the answer says of each row' },
});

export const ONLINE_EXAMPLE = {
  features: ['btc_technical:price', 'btc_technical:rsi'],
  entities: [{ symbol: 'BTC/USDT' }],
};

export const EXPLAIN_BODY: Schema = object({
  'set?': text('Of which `feature` is a member'),
  'service?': SET['service?'],
  feature: text('`view:feature`, or the name of a member of the set'),
  entity: ENTITY,
  'given?': { ...GIVEN, type: 'object' },
  ...MOMENT,
});

export const EXPLAIN_EXAMPLE = { feature: 'btc_technical:rsi', entity: { symbol: 'BTC/USDT' } };

export const HISTORICAL_LINE: Schema = {
  type: 'object',
  additionalProperties: true,
  description:
    'Keys of entities, `timestamp`, and further columns, which are kept as they came. A column with the name of a feature that only requests know gives it, and so does `given` (or `features`, not both), an object as `POST /v1/features/online` takes it',
};

export const HISTORICAL_BODY: Schema = object({
  ...SET,
  'features?': listOf(text('`view:feature`')),
  'rows?': listOf(HISTORICAL_LINE),
  'generate?': object({
    stream: text('All entities that it has events of'),
    from: TIME,
    'to?': { ...TIME, description: 'Included where a step meets it; left out: now' },
    step: text('`1m`, `1h`, `1d`'),
  }),
  'known_at?': {
    ...TIME,
    description: 'Left out: of each row what was known at its own time. `now`: corrected history',
  },
  'format?': text(undefined, { enum: [...TRAINING_FORMATS] }),
  'statuses?': truth('A column `<feature>.status` beside each feature'),
});

export const HISTORICAL_EXAMPLE = {
  features: ['btc_technical:price', 'btc_technical:rsi'],
  rows: [{ symbol: 'BTC/USDT', timestamp: '2026-01-15T10:30:00Z', label: 1 }],
  format: 'csv',
};

const ROW = object({
  entity: ENTITY,
  status: text('`NOT_FOUND`: nothing is known of it', { enum: ['OK', 'PARTIAL', 'NOT_FOUND'] }),
  values: listOf(VALUE),
  statuses: listOf(STATUS),
  event_times: listOf({ type: ['string', 'null'], description: 'Of the newest event behind the value' }),
  ages_ms: listOf({ type: ['integer', 'null'] }),
  sources: listOf(SOURCE),
  'error?': object(
    { code: text(undefined, { enum: ['entity_not_found'] }) },
    { description: 'Of a row that is NOT_FOUND. Its values are nulls, one a name, as those of every row' },
  ),
  'meta?': object(
    {
      event_time: { ...orNull(INSTANT), description: 'Of the newest event behind the row' },
      ingested_at: { ...orNull(INSTANT), description: 'The latest arrival among the events that were known of it' },
      age_ms: { type: ['integer', 'null'], description: 'From `event_time` to `as_of`' },
      sources: listOf(SOURCE),
      cache: text('Where it was found: computed before; computed of events in memory; of what the log says', {
        enum: [...READ_TIERS],
      }),
    },
    { description: 'Where `include` asks for it' },
  ),
});

const STEP = object({
  name: text(),
  kind: text(undefined, { enum: ['operator', 'expression', 'request', 'static', 'moment'] }),
  outputs: listOf(
    object({ name: text(), value: VALUE, status: STATUS, 'event_time?': INSTANT, given: truth('By the request') }),
  ),
  'by?': text('The operator, or the text of the expression'),
  'reads?': listOf(text()),
  'have?': whole('Events so far, while the operator warms up'),
  'need?': whole('Events that it needs'),
  'count?': whole('Events behind it'),
  'events?': listOf(
    object({
      event_id: text(),
      event_time: INSTANT,
      ingested_at: INSTANT,
      inputs: listOf(VALUE),
      'counts?': truth('The condition of the feature holds'),
    }),
  ),
  'tiles?': listOf(INSTANT),
});

const SERVED = object(
  {
    set: text('`name@sha256:…`'),
    name: text('What the set calls it'),
    value: VALUE,
    status: STATUS,
    source: SOURCE,
    on_missing: text(undefined, { enum: ['error', 'null', 'default'] }),
    on_stale: text(undefined, { enum: ['error', 'null', 'default', 'degrade'] }),
    'default?': { ...VALUE, description: 'That can stand in for it' },
  },
  { description: 'By a set: what its policy makes of the value, as a read by the set answers it' },
);

const NUMBER: Schema = { type: 'number' };
const FEATURE = { view: text(), view_hash: text(), feature: text(), count: whole('Values that were looked at') };
const PROFILE = {
  statuses: { type: 'object', additionalProperties: { type: 'integer' } },
  null_rate: { ...NUMBER, description: 'Share of values that are not there' },
  'min?': NUMBER,
  'max?': NUMBER,
  'mean?': NUMBER,
  'quantiles?': { type: 'object', additionalProperties: NUMBER },
  'histogram?': object({ edges: listOf(NUMBER), counts: listOf(whole()) }),
};
const SPAN = { from: INSTANT, to: INSTANT, workers: whole('Workers of this server that the answer is of') };

const DEGRADED = object({ reasons: listOf(text(READ_REASON_TEXT, { enum: [...READ_REASONS] })) });

export const READ_SCHEMAS: Schemas = {
  FeatureStats: object({
    ...SPAN,
    features: listOf(
      object({
        ...FEATURE,
        ...PROFILE,
        'baseline?': object({ count: FEATURE.count, ...PROFILE }),
      }),
    ),
    rules: listOf(
      object({
        view: text(),
        target: text('A feature, `stream.field`, or a stream'),
        rule: text(),
        action: text(),
        violations: whole(
          'Pushed events, and values when they were computed or given, not when they were served again',
        ),
        samples: listOf(
          object({
            at: INSTANT,
            phase: text(),
            type: text(),
            'magnitude?': text('Sign and power of ten, and no more of it'),
            'length?': whole(),
          }),
        ),
      }),
    ),
  }),
  FeatureBackfill: object({
    view: text(),
    hash: text(),
    entities: whole(),
    rows: whole(),
    from: INSTANT,
    to: INSTANT,
    features: { type: 'object', additionalProperties: object({ count: FEATURE.count, ...PROFILE }) },
  }),
  TrainingSet: object({
    'set?': text('As the request names it'),
    'feature_set?': text('The version of the set: `name@` and its hash'),
    views: listOf(text('The version of a view that was read: `name@` and its hash')),
    known_at: { ...TIME, description: 'As the request has it; `timestamp`: each row knows what was known at its own' },
    file: text(),
    rows: whole(),
    bytes: whole(),
    sha256: text('Of the file'),
    columns: listOf(ANYTHING),
    statuses: { type: 'object', additionalProperties: whole(), description: 'Values by status' },
    'degraded?': object({ reasons: listOf(text(READ_REASON_TEXT, { enum: ['unsettled'] })) }),
    'warnings?': listOf(
      object({
        pointer: text('Of the first such row; `/generate/from` where they were generated'),
        code: text(`\`window_beyond_retention\`: ${BEYOND_RETENTION}`, { enum: ['window_beyond_retention'] }),
        rows: whole('Rows of which that is so'),
      }),
    ),
    'href?': text('Where the file is fetched; absent once it was removed'),
    'expires_at?': { ...INSTANT, description: 'Until when it is kept; absent with `href`' },
  }),
  FeatureFreshness: object({
    ...SPAN,
    features: listOf(
      object({
        ...FEATURE,
        stale: whole('Values that were older than their `ttl`'),
        'age_seconds?': object({ p50: NUMBER, p95: NUMBER, max: NUMBER }),
        'freshness_slo_seconds?': NUMBER,
        'violated?': truth('p95 is beyond `freshness_slo` of the view'),
      }),
    ),
  }),
  OnlineFeatures: object({
    'set?': text('The version that was read'),
    'service?': text('The same, where the request says `service`'),
    as_of: INSTANT,
    known_at: INSTANT,
    corrected: truth('Events that were too late to be served were counted too'),
    names: listOf(text()),
    results: listOf(ROW),
    partial: truth('Some values are not there'),
    'warnings?': listOf(
      object({
        pointer: text(),
        code: text(
          `\`timestamp_clamped\`: the time has not come yet by the clock of the server: the answer is of now. \`window_beyond_retention\`: ${BEYOND_RETENTION}`,
          { enum: ['timestamp_clamped', 'window_beyond_retention'] },
        ),
      }),
    ),
    'degraded?': DEGRADED,
    timing: object({ total_ms: { type: 'number' }, storage_ms: { type: 'number' } }),
  }),
  FeatureExplanation: object({
    ...{ as_of: INSTANT, feature: text(), 'served?': SERVED, steps: listOf(STEP) },
    'degraded?': DEGRADED,
  }),
};
