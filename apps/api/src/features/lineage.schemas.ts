import { LINEAGE_KINDS } from '@sibyl/features';
import { ANYTHING, listOf, object, text, type Schemas } from '../docs/schema';

const NAMES = listOf(text());

export const LINEAGE_SCHEMAS: Schemas = {
  FeatureLineage: object({
    'nodes?': listOf(
      object({
        id: text('The same as long as what it names does not change'),
        kind: text(undefined, { enum: [...LINEAGE_KINDS] }),
        name: text('`candles_1m.close`, `rsi(close) period=14`, `btc_technical:rsi`, `momentum`'),
        'version?': text('Of a feature and a set the first digits of its hash, of a model its version'),
        'stream?': text('Of a field'),
      }),
    ),
    'edges?': listOf(
      object({
        from: text('Id of what the other is made of'),
        to: text('Id of who needs it'),
        'as?': text('What a set calls a feature'),
      }),
    ),
    'impact?': object({ of: text('What would go'), features: NAMES, sets: NAMES, models: NAMES, aliases: NAMES }),
    'events?': listOf({ ...ANYTHING, description: 'With `format=openlineage`: JobEvents of OpenLineage 2-0-2' }),
  }),
};
