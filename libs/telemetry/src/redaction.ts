const KEY = /\bsk_[A-Za-z0-9]+_[A-Za-z0-9_-]+/g;
const CREDENTIALS_IN_URL = /(\b[a-z][a-z0-9+.-]*:\/\/)[^\s/@]*@/gi;
const CREDENTIAL_HEADER = /\b(bearer|basic)\s+[A-Za-z0-9+/=._~-]{8,}/gi;

/** Longest text of one field of a log line: enough for a stack, too little to hold a payload. */
const LOG_TEXT_CHARACTERS = 4096;

/** Takes out what authenticates: API keys, credentials in URLs and headers. The last guard, behind the allow-list. */
export function redact(text: string): string {
  const short = text.length > LOG_TEXT_CHARACTERS ? `${text.slice(0, LOG_TEXT_CHARACTERS)}…` : text;
  return short
    .replace(KEY, 'sk_[redacted]')
    .replace(CREDENTIALS_IN_URL, '$1[redacted]@')
    .replace(CREDENTIAL_HEADER, '$1 [redacted]');
}
