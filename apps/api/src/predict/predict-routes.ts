/** Hot path. See docs/paths/predict.md. */

/** What a predict path asks for. */
export type PredictKind = 'single' | 'batch' | 'model' | 'infer';

export interface PredictRoute {
  readonly kind: PredictKind;
  /** Pattern of the path, for metrics and the record. */
  readonly pattern: string;
  /** The model that the path names. */
  readonly model?: string;
}

const FIXED: Readonly<Record<string, PredictRoute>> = {
  '/predict': { kind: 'single', pattern: '/predict' },
  '/v1/predict': { kind: 'single', pattern: '/v1/predict' },
  '/predict/batch': { kind: 'batch', pattern: '/predict/batch' },
  '/v1/predict/batch': { kind: 'batch', pattern: '/v1/predict/batch' },
  '/v1/infer': { kind: 'infer', pattern: '/v1/infer' },
};
const OF_MODEL = /^(\/v1)?\/models\/([^/]+)\/predict\/?$/;

/** Targets that were read lately: clients ask for the same few over and over. */
const KNOWN_MAX = 1_000;
const KNOWN_LENGTH_MAX = 512;
const known = new Map<string, PredictRoute>();

/** The predict route of a request target, or undefined: then the ordinary stack takes the request. */
export function predictRoute(target: string): PredictRoute | undefined {
  const before = known.get(target);
  if (before !== undefined) return before;
  const route = readRoute(target);
  if (route === undefined || target.length > KNOWN_LENGTH_MAX) return route;
  if (known.size >= KNOWN_MAX) known.clear();
  known.set(target, route);
  return route;
}

function readRoute(target: string): PredictRoute | undefined {
  const path = pathOf(target);
  const fixed = FIXED[path] ?? (path.endsWith('/') ? FIXED[path.slice(0, -1)] : undefined);
  if (fixed !== undefined) return fixed;
  const match = OF_MODEL.exec(path);
  const model = match?.[2] === undefined ? undefined : decoded(match[2]);
  return model === undefined
    ? undefined
    : { kind: 'model', pattern: `${match?.[1] ?? ''}/models/{name}/predict`, model };
}

/** The path of a request target, as Express reads it: proxies may send whole URLs (RFC 9112 §3.2.2). */
function pathOf(target: string): string {
  const local = target.startsWith('/') ? target : target.replace(/^https?:\/\/[^/?#]*/i, '');
  const end = local.search(/[?#]/);
  return end < 0 ? local : local.slice(0, end);
}

function decoded(segment: string): string | undefined {
  try {
    return decodeURIComponent(segment);
  } catch {
    // Not a name that any model can have; the ordinary stack answers it.
    return undefined;
  }
}
