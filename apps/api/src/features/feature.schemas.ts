import { PUSH_RESULTS, VALUE_TYPES } from '@sibyl/features';
import { ANYTHING, INSTANT, listOf, object, ref, text, truth, whole, type Schema, type Schemas } from '../docs/schema';

const STATUS = text('What became of the event', { enum: [...PUSH_RESULTS] });
const COUNTS: Schema = { type: 'object', additionalProperties: { type: 'integer' }, description: 'Events by status' };
const ERROR = object({ pointer: text('Within the event'), 'expected?': text(), 'received?': text(), 'hint?': text() });

const TIME: Schema = { type: ['string', 'integer'], description: 'RFC 3339 with a zone, or milliseconds since 1970' };
const VALUES: Schema = {
  type: 'object',
  additionalProperties: true,
  description: 'By the names of the fields of the stream',
};
const EVENT_MEMBERS = {
  entity: {
    type: ['string', 'integer', 'object'],
    additionalProperties: { type: ['string', 'integer'] },
    description:
      "The key of the entity: by itself, or as reads have it, in an object by its name (`{'symbol': 'BTC/USDT'}`)",
  },
  'event_time?': TIME,
  'event_ts?': { ...TIME, description: 'The same as `event_time`; one of the two is there' },
  'event_id?': text(
    'A UUID, or any text of up to 128 characters, which names the event of this entity and `event_time`; left out: made of what the event says',
  ),
  'final?': truth('`false`: a bar that is not finished; a later event of the same time replaces it'),
  'values?': VALUES,
  'payload?': { ...VALUES, description: 'The same as `values`; one of the two is there' },
};
const EVENT = object(EVENT_MEMBERS);

export const PUSH_LINE: Schema = object({
  ...EVENT_MEMBERS,
  'stream?': text('Of this event; left out: the one that the query names'),
});

export const PUSH_BODY: Schema = object({
  stream: text('Name of the stream'),
  events: { oneOf: [{ type: 'array', maxItems: 10_000, items: EVENT }, EVENT] },
  'ack?': text('When it is answered: always when the events are durable', { enum: ['durable'] }),
});

export const PUSH_EXAMPLE = {
  stream: 'candles_1m',
  events: [
    {
      entity: 'BTC/USDT',
      event_time: '2026-01-15T10:30:00Z',
      values: { open: 44990, high: 45010, low: 44980, close: 45000, volume: 12.5 },
    },
  ],
};

const DEFINITION = {
  name: text(),
  hash: text('SHA-256 of what the definition says, `sha256:` and 64 hexadecimal digits'),
  published_at: INSTANT,
  published_by: ref('Actor'),
};

const OUTPUT = object({ name: text(), type: text(undefined, { enum: [...VALUE_TYPES] }), list: truth() });
const MEMBER = object({
  name: text('What the model calls it'),
  view: text(),
  view_hash: text('The version of the view, for ever'),
  feature: text(),
  type: text(undefined, { enum: [...VALUE_TYPES] }),
});
const HISTORY = object({
  stream: text(),
  events: whole('How many events back the features look'),
  span_seconds: { type: 'number', description: 'How far back in time they look' },
});
const CHANGES = listOf(object({ name: text(), 'from?': {}, 'to?': {} }));
const EDGES = listOf(
  object({
    from: text('`stream.field` of a view, `view:feature` of a set'),
    to: text('What the view or the set calls it'),
  }),
);
const DIFF = object({
  from: text('Hash of the version before'),
  to: text('Hash of this version'),
  features: object({ added: listOf(text()), removed: listOf(text()), retyped: CHANGES, changed: CHANGES }),
  reordered: truth('Of a set: the same members in another order'),
  streams: object({ added: listOf(text()), removed: listOf(text()), changed: CHANGES }),
  settings: CHANGES,
  breaking: truth('Who reads the version before could not read this one'),
});
const RETENTION_WARNING = object({
  pointer: text(),
  code: text('The stream keeps its events for a shorter time than before', { enum: ['retention_lowered'] }),
  stream: text(),
  from: text('How long they were kept, such as `30d`'),
  to: text(),
  gone_before: {
    ...INSTANT,
    description:
      'Events from before it are not read by the view once this is published, and gone when their parts of the log are dropped',
  },
  'affects?': {
    ...listOf(text()),
    description: 'Other current views with windows by time on the stream that are longer than it is kept from then on',
  },
  detail: text(),
});

export const FEATURE_SCHEMAS: Schemas = {
  PushResults: object({
    counts: COUNTS,
    'results?': listOf(
      object(
        { status: STATUS, 'event_id?': text(), 'reason?': text(), 'error?': ERROR },
        { description: 'In the order of the events' },
      ),
    ),
    'watermark?': {
      ...INSTANT,
      description:
        'How far the stream has come: the time of its newest stored event, of whatever entity. What other processes stored in the last second may be missing',
    },
    'lines?': whole('Of an upload of lines: how many there were'),
    'faults?': listOf(object({ line: whole('Counted from 1'), status: STATUS, 'reason?': text(), 'error?': ERROR })),
  }),
  PublishedDefinition: object({
    name: text(),
    hash: DEFINITION.hash,
    'previous_hash?': text('Of the version before'),
    unchanged: truth('It is the current version already'),
    dry_run: truth('Nothing was written'),
    'diff?': DIFF,
    lineage: object(
      { added: EDGES, removed: EDGES },
      { description: 'What comes from where, and did not in the version before; and the other way round' },
    ),
    'warnings?': listOf(RETENTION_WARNING),
    'outputs?': listOf(OUTPUT),
    'history?': listOf(HISTORY),
    'members?': listOf(MEMBER),
  }),
  FeatureDefinition: object({
    ...DEFINITION,
    current: truth('The name means this version'),
    document: { ...ANYTHING, description: 'As it was published' },
    'outputs?': listOf(OUTPUT),
    'history?': listOf(HISTORY),
    'members?': listOf(MEMBER),
    publications: listOf(
      object({ revision: whole(), 'hash?': text('Absent: the name was deleted'), at: INSTANT, by: ref('Actor') }),
    ),
  }),
  FeatureDefinitionList: object({ items: listOf(object(DEFINITION)) }),
  DeletedDefinition: object({ name: text(), deleted_at: INSTANT }),
};
