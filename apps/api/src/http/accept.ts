import { DomainError } from '@sibyl/kernel';

/** Whether JSON may be answered to this `Accept` header (RFC 9110 §12.5.1): the most specific range decides. */
export function acceptsJson(header: string | undefined): boolean {
  if (header === undefined || header.trim() === '' || header === '*/*' || header === 'application/json') return true;
  let specificity = 0;
  let quality = 0;
  for (const part of header.split(',')) {
    const [range = '', ...parameters] = part.split(';').map((piece) => piece.trim().toLowerCase());
    const rank = RANKS[range];
    if (rank === undefined || rank < specificity) continue;
    const weight = weightOf(parameters);
    quality = rank > specificity ? weight : Math.max(quality, weight);
    specificity = rank;
  }
  return quality > 0;
}

const RANKS: Readonly<Record<string, number>> = { '*/*': 1, 'application/*': 2, 'application/json': 3 };

function weightOf(parameters: readonly string[]): number {
  const weight = parameters.find((parameter) => parameter.startsWith('q='));
  const value = weight === undefined ? 1 : Number(weight.slice(2));
  return Number.isFinite(value) ? value : 0;
}

export function notAcceptable(): DomainError {
  return new DomainError('not_acceptable', 'This route answers application/json, which the Accept header excludes.');
}
