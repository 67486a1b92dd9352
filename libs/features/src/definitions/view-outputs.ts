import type { FeatureDefinition, FeatureView, OperatorOutput } from './feature-view';

/** What callers may ask a view for: `rsi`, `macd.hist`. */
export interface Offered extends OperatorOutput {
  readonly definition: FeatureDefinition;
}

export function offeredBy({ features }: Pick<FeatureView, 'features'>): readonly Offered[] {
  return features.flatMap((definition): readonly Offered[] => {
    const { name } = definition;
    if (definition.kind !== 'operator') return [{ name, type: definition.type, list: false, definition }];
    return definition.outputs.map((output) => ({
      ...output,
      name: output.name === '' ? name : `${name}.${output.name}`,
      definition,
    }));
  });
}
