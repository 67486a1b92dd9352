import { HttpOptions } from '../http/http-options';
import { flag, list, whole } from './setting';
import { plainHttpOrigin } from './unsafe';

const KIBIBYTE = 1024;
const MEBIBYTE = 1024 * KIBIBYTE;
const GIBIBYTE = 1024 * MEBIBYTE;

// Defaults are those of the options that the settings become, so that they are written once.
const REQUESTS = new HttpOptions();

/** What a caller may send, and how long it may take over it. */
export const HTTP = {
  bodyBytes: whole({
    name: 'SIBYL_BODY_BYTES',
    min: KIBIBYTE,
    max: GIBIBYTE,
    fallback: REQUESTS.bodyBytes,
    meaning: 'JSON body of every other route.',
  }),
  jsonDepth: whole({
    name: 'SIBYL_JSON_DEPTH',
    min: 4,
    max: 256,
    fallback: REQUESTS.jsonDepth,
    meaning: 'How deep objects and arrays may be nested.',
  }),
  headerBytes: whole({
    name: 'SIBYL_HEADER_BYTES',
    min: KIBIBYTE,
    max: MEBIBYTE,
    fallback: REQUESTS.headerBytes,
    meaning: 'All headers of a request together.',
  }),
  headersSeconds: whole({
    name: 'SIBYL_HEADERS_SECONDS',
    min: 1,
    max: 600,
    fallback: REQUESTS.headersTimeoutMs / 1000,
    meaning: 'How long the headers of a request may take.',
  }),
  bodySeconds: whole({
    name: 'SIBYL_BODY_SECONDS',
    min: 1,
    max: 3600,
    fallback: REQUESTS.bodyTimeoutMs / 1000,
    meaning: 'How long a JSON body may take.',
  }),
  uploadSeconds: whole({
    name: 'SIBYL_UPLOAD_SECONDS',
    min: 1,
    max: 86_400,
    fallback: REQUESTS.uploadTimeoutMs / 1000,
    meaning: 'How long the upload of a package may take.',
  }),
  syncWaitSeconds: whole({
    name: 'SIBYL_SYNC_WAIT_SECONDS',
    min: 0,
    max: 600,
    fallback: REQUESTS.syncWaitMs / 1000,
    meaning: 'How long a registration or load is waited for before it is answered 202 with an operation.',
  }),
  corsOrigins: list({
    name: 'SIBYL_CORS_ORIGINS',
    type: 'https://host[:port]',
    pattern: /^https?:\/\/[A-Za-z0-9.-]+(:\d{1,5})?$/,
    fallback: [],
    unsafe: plainHttpOrigin,
    meaning: 'Origins whose pages may call this server. Empty: CORS is off.',
  }),
  strictTransport: flag({
    name: 'SIBYL_STRICT_TRANSPORT',
    fallback: false,
    meaning: 'Sends `Strict-Transport-Security`. Only where TLS ends in front of this server.',
  }),
} as const;
