/** Hot path. See docs/paths/predict.md. */
import { pathOf } from '../front/target';
import type { FrontRoute } from '../front/front-handler';

/** What a predict path asks for. */
export type PredictKind = 'single' | 'batch' | 'model' | 'infer';

export interface PredictRoute extends FrontRoute {
  readonly kind: PredictKind;
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

/** The predict route of a request target, or undefined: then another takes the request. */
export function predictRoute(target: string): PredictRoute | undefined {
  const path = pathOf(target);
  const fixed = FIXED[path] ?? (path.endsWith('/') ? FIXED[path.slice(0, -1)] : undefined);
  if (fixed !== undefined) return fixed;
  const match = OF_MODEL.exec(path);
  const model = match?.[2] === undefined ? undefined : decoded(match[2]);
  return model === undefined
    ? undefined
    : { kind: 'model', pattern: `${match?.[1] ?? ''}/models/{name}/predict`, model };
}

function decoded(segment: string): string | undefined {
  try {
    return decodeURIComponent(segment);
  } catch {
    // Not a name that any model can have; the ordinary stack answers it.
    return undefined;
  }
}
