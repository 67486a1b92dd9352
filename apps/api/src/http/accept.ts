import { DomainError } from '@sibyl/kernel';

const JSON_TYPE = 'application/json';

/** Whether JSON may be answered to this `Accept` header. */
export function acceptsJson(header: string | undefined): boolean {
  return header === JSON_TYPE || accepts(header, JSON_TYPE);
}

/** Whether a media type may be answered to this `Accept` header (RFC 9110 §12.5.1): the most specific range decides. */
export function accepts(header: string | undefined, type: string): boolean {
  if (header === undefined || header.trim() === '' || header === '*/*') return true;
  const ranges = ['*/*', `${type.slice(0, type.indexOf('/'))}/*`, type];
  let specificity = -1;
  let quality = 0;
  for (const part of header.split(',')) {
    const [range = '', ...parameters] = part.split(';').map((piece) => piece.trim().toLowerCase());
    const rank = ranges.indexOf(range);
    if (rank < 0 || rank < specificity) continue;
    const weight = weightOf(parameters);
    quality = rank > specificity ? weight : Math.max(quality, weight);
    specificity = rank;
  }
  return quality > 0;
}

function weightOf(parameters: readonly string[]): number {
  const weight = parameters.find((parameter) => parameter.startsWith('q='));
  const value = weight === undefined ? 1 : Number(weight.slice(2));
  return Number.isFinite(value) ? value : 0;
}

export function notAcceptable(types: readonly string[] = [JSON_TYPE]): DomainError {
  const answered = types.join(' or ');
  return new DomainError('not_acceptable', `This route answers ${answered}, which the Accept header excludes.`);
}
