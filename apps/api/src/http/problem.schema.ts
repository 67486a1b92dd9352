import { ERROR_CODES } from '@sibyl/kernel';
import { listOf, object, text, whole, type Schemas } from '../docs/schema';

export const PROBLEM_SCHEMAS: Schemas = {
  Problem: object(
    {
      type: text('Page of the code', { examples: ['/docs/errors#scope_missing'] }),
      title: text(),
      status: whole(),
      code: text('Stable; branch on this.', { enum: Object.keys(ERROR_CODES) }),
      detail: text('What happened, for people.'),
      instance: text('Path of the request.'),
      request_id: text('Find the request in logs and audit with it.'),
      'errors?': listOf(
        object({
          pointer: text('Where (RFC 6901)'),
          'expected?': text(),
          'received?': text(),
          'hint?': text(),
          'position?': whole('Characters from the beginning of an expression to where its fault lies.'),
        }),
      ),
      'retry_after?': whole('Seconds; the same as the Retry-After header.'),
    },
    { description: 'RFC 9457, application/problem+json', additionalProperties: true },
  ),
};
