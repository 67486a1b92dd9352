import { ChoiceField, TextField } from '../http/fields';

export class PushQuery {
  @TextField({ description: 'The stream of events that name none.', example: 'candles_1m', max: 63, optional: true })
  stream?: string;
}

export class PublishQuery {
  @ChoiceField({
    description: 'Checks and compares the definition, and writes nothing.',
    of: ['true', 'false'],
    fallback: 'false',
    optional: true,
  })
  dry_run?: 'true' | 'false';
}
