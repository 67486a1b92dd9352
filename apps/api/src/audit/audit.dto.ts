import { ChoiceField, InstantField, TextField, WholeField } from '../http/fields';

export class EventListQuery {
  @InstantField({ description: 'Recorded at this time or later.', optional: true })
  from?: string;

  @InstantField({ description: 'Recorded before this time.', optional: true })
  to?: string;

  @TextField({ description: 'Id or name of who acted.', max: 256, optional: true })
  actor?: string;

  @TextField({ description: 'Id of the key that was used.', max: 64, optional: true })
  key_id?: string;

  @TextField({ description: '`noun.verb`, such as `prediction.create`.', max: 64, optional: true })
  action?: string;

  @ChoiceField({ description: 'How it ended.', of: ['succeeded', 'denied', 'failed'], optional: true })
  outcome?: 'succeeded' | 'denied' | 'failed';

  @TextField({ description: 'Name of the model.', max: 128, optional: true })
  model?: string;

  @TextField({ description: 'Version of the model.', max: 64, optional: true })
  version?: string;

  @WholeField({ description: 'Status of the answer.', min: 100, max: 599, query: true, optional: true })
  status?: number;

  @TextField({ description: 'Address of the caller.', max: 64, optional: true })
  ip?: string;

  @TextField({ description: 'Id of the request.', max: 128, optional: true })
  request_id?: string;

  @TextField({ description: 'Id of the prediction.', max: 64, optional: true })
  prediction_id?: string;

  @WholeField({ description: 'Events of the page.', min: 1, max: 1000, fallback: 100, query: true, optional: true })
  limit?: number;

  @ChoiceField({ description: 'Newest or oldest first.', of: ['desc', 'asc'], fallback: 'desc', optional: true })
  order?: 'asc' | 'desc';

  @TextField({ description: '`next` of the page before, with the same filters.', max: 512, optional: true })
  cursor?: string;
}
