import { DomainError } from '@sibyl/kernel';

/** What a `models:` or `runs:` URI means, by MLflow's own rules. */
export type MlflowUri =
  | { readonly kind: 'version'; readonly name: string; readonly version: string }
  | { readonly kind: 'alias'; readonly name: string; readonly alias: string }
  /** A stage, whatever its case. */
  | { readonly kind: 'stage'; readonly name: string; readonly stage: string }
  | { readonly kind: 'latest'; readonly name: string }
  | { readonly kind: 'logged'; readonly id: string }
  | { readonly kind: 'run'; readonly id: string; readonly path: string };

const RUN = /^[A-Za-z0-9_-]{1,256}$/;

/** `models:/name/3`, `models:/name@alias`, `models:/name/Production`, `models:/name/latest`, `models:/m-…`, `runs:/id/path`. */
export function parseMlflowUri(uri: string, pointer: string): MlflowUri {
  const [, scheme = '', rest = ''] = /^(models|runs):\/+(?!\/)(.*)$/i.exec(uri) ?? [];
  const segments = rest.replace(/\/$/, '').split('/').map(decoded);
  const [first = '', ...others] = segments;
  if (segments.some((segment) => segment === undefined || /^$|^\.\.?$|[\p{Cc}\\/?#]/u.test(segment)))
    throw malformed(uri, pointer);
  if (scheme.toLowerCase() === 'runs') {
    if (!RUN.test(first) || others.length === 0) throw malformed(uri, pointer);
    return { kind: 'run', id: first, path: others.join('/') };
  }
  if (scheme === '' || segments.length > 2) throw malformed(uri, pointer);
  const [suffix] = others;
  if (suffix === undefined) return byOneSegment(first, uri, pointer);
  if (/^\d{1,18}$/.test(suffix)) return { kind: 'version', name: first, version: suffix };
  if (suffix.toLowerCase() === 'latest') return { kind: 'latest', name: first };
  return { kind: 'stage', name: first, stage: suffix };
}

function byOneSegment(segment: string, uri: string, pointer: string): MlflowUri {
  const at = segment.lastIndexOf('@');
  if (at > 0 && at < segment.length - 1)
    return { kind: 'alias', name: segment.slice(0, at), alias: segment.slice(at + 1) };
  if (at === -1 && /^m-[A-Za-z0-9]{1,128}$/.test(segment)) return { kind: 'logged', id: segment };
  throw malformed(uri, pointer);
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return '';
  }
}

function malformed(uri: string, pointer: string): DomainError {
  return new DomainError('invalid_parameter', 'The URI is not one that MLflow knows.', {
    faults: [
      {
        pointer,
        expected:
          'models:/name/3, models:/name@alias, models:/name/Stage, models:/name/latest, models:/m-… or runs:/id/path',
        received: uri.slice(0, 100),
      },
    ],
  });
}
