import type { ValueType } from '../feature-value';
import type { ExpressionFeature, OperatorFeature, RequestFeature, StaticFeature } from './feature-view';

/** A feature as it was written: what follows from others, its types, is not known yet. */
export type FeatureDraft =
  | (Omit<OperatorFeature, 'outputs'> & { readonly outputs: readonly string[] | undefined })
  | (Omit<ExpressionFeature, 'type'> & { readonly type: ValueType | undefined })
  | RequestFeature
  | Omit<StaticFeature, 'type'>;

export type DraftOf<Kind extends FeatureDraft['kind']> = Extract<FeatureDraft, { readonly kind: Kind }>;
