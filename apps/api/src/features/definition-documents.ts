import { readDocuments } from '@sibyl/features';
import { DomainError } from '@sibyl/kernel';
import { checkJsonType, readBody, refuseEncoding } from '../http/body';
import type { HttpOptions } from '../http/http-options';
import { decodeJson, parseJson } from '../http/json-text';
import type { ApiRequest } from '../http/request-context';

/** Four times what a definition in YAML may have: JSON may be indented. */
const DEFINITION_BYTES = 1024 * 1024;
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
  if (!isYaml) return parseJson(bytes, options.jsonDepth);
  const documents = readDocuments(decodeJson(bytes, Number.MAX_SAFE_INTEGER));
  if (documents.length === 1) return documents[0];
  throw new DomainError('invalid_definition', `One definition is published at a time; these are ${documents.length}.`, {
    faults: [{ pointer: '', expected: 'one document', received: `${documents.length} documents` }],
  });
}
