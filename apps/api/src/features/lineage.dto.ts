import { ChoiceField, TextField, WholeField } from '../http/fields';

const FORMATS = ['json', 'mermaid', 'openlineage'] as const;

export class LineageQueryDto {
  @TextField({
    description: 'What this view comes from and leads to; `name@` and 12 or more digits of a hash: of that version.',
    example: 'btc_technical',
    max: 128,
    optional: true,
  })
  view?: string;

  @TextField({
    description: 'What this set comes from and leads to.',
    example: 'btc_direction_inputs',
    max: 128,
    optional: true,
  })
  set?: string;

  @TextField({
    description: 'What this model comes from: `name`, or `name@version`.',
    example: 'momentum',
    max: 256,
    optional: true,
  })
  model?: string;

  @TextField({ description: 'What this stream leads to.', example: 'candles_1m', max: 63, optional: true })
  stream?: string;

  @TextField({
    description: 'What breaks if this field of a stream goes, or the whole stream.',
    example: 'candles_1m.close',
    max: 128,
    optional: true,
  })
  impact?: string;

  @TextField({
    description: 'What this prediction was made from.',
    example: '0199b2e4-7c1a-7d3e-8f00-1a2b3c4d5e6f',
    max: 64,
    optional: true,
  })
  prediction?: string;

  @WholeField({
    description: 'Of a prediction of several rows: which one.',
    min: 0,
    max: 1_000_000,
    fallback: 0,
    query: true,
    optional: true,
  })
  row?: number;

  @ChoiceField({ description: 'How it is written.', of: FORMATS, fallback: 'json', optional: true })
  format?: (typeof FORMATS)[number];
}
