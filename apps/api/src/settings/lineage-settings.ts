import { LineageOptions } from '@sibyl/features';
import { optionalText, text } from './setting';

const LINEAGE_DEFAULTS = new LineageOptions();

/** Where what is published and promoted is told to; OpenLineage's own names, as its clients read them. */
export const LINEAGE = {
  openLineageUrl: optionalText({
    name: 'OPENLINEAGE_URL',
    type: 'http(s)://…',
    pattern: /^https?:\/\/[^\s/@]+(\/\S*)?$/,
    fallback: undefined,
    meaning:
      'OpenLineage server that is told of each feature view and set when it is published, and of each alias that moves, at `api/v1/lineage` below this address. Unset: nobody is told.',
  }),
  openLineageKey: optionalText({
    name: 'OPENLINEAGE_API_KEY',
    type: 'text',
    pattern: /^[\x21-\x7e]+$/,
    fallback: undefined,
    meaning: 'Bearer token for that server.',
  }),
  openLineageNamespace: text({
    name: 'OPENLINEAGE_NAMESPACE',
    type: 'text',
    pattern: /^[\x21-\x7e]{1,256}$/,
    fallback: LINEAGE_DEFAULTS.namespace,
    meaning: 'Namespace of jobs and datasets in OpenLineage; two installations that tell one server differ by it.',
  }),
} as const;
