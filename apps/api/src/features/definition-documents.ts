import { DomainError } from '@sibyl/kernel';
import { parseDocument } from 'yaml';
import { checkJsonType, readBody, refuseEncoding } from '../http/body';
import type { HttpOptions } from '../http/http-options';
import { decodeJson, parseJson } from '../http/json-text';
import type { ApiRequest } from '../http/request-context';

/** A definition of 512 features with rules and expressions of full length is smaller. */
const DEFINITION_BYTES = 4 * 1024 * 1024;
const YAML = /^(application|text)\/(x-)?yaml\s*(;|$)/i;

/** Reads a definition, JSON or YAML, as the content type says. */
export async function readDefinition(request: ApiRequest, options: HttpOptions): Promise<unknown> {
  const isYaml = YAML.test(request.headers['content-type'] ?? '');
  if (isYaml) refuseEncoding(request);
  else checkJsonType(request);
  const bytes = await readBody(request, {
    bytes: Math.min(DEFINITION_BYTES, options.bodyBytes),
    timeoutMs: options.bodyTimeoutMs,
  });
  return isYaml ? parseYaml(decodeJson(bytes, options.jsonDepth)) : parseJson(bytes, options.jsonDepth);
}

/** YAML 1.2 as far as it says what JSON can: no tags, and no aliases, which can make much of little. */
function parseYaml(text: string): unknown {
  try {
    const document = parseDocument(text, { schema: 'core', uniqueKeys: true, prettyErrors: true });
    const [fault] = document.errors;
    if (fault) throw fault;
    return document.toJS({ maxAliasCount: 0 }) as unknown;
  } catch (error) {
    const reason = error instanceof Error && !(error instanceof RangeError) ? (error.message.split('\n')[0] ?? '') : '';
    throw new DomainError('invalid_definition', 'The definition is not YAML that can be read.', {
      faults: [
        {
          pointer: '',
          expected: `YAML 1.2 without tags and aliases${reason === '' ? '' : `: ${reason.slice(0, 200)}`}`,
        },
      ],
    });
  }
}
