import { invariant } from '@sibyl/kernel';
import type { LinkerParts } from './definition-parts';
import type { FeatureDraft } from './feature-draft';
import type { FeatureDefinition, FeatureView } from './feature-view';
import { ViewLinker } from './view-linker';
import type { ViewPlan } from './view-plan';

/** The plan of a view that was checked when it was published. Made once a version. */
export function compileView(view: FeatureView, parts: LinkerParts): ViewPlan {
  const { name, streams: known, features } = view;
  const draft = { name, streams: known, drafts: features.map(asDraft), failed: new Set<string>() };
  const linker = new ViewLinker(draft, parts, (index, member, fault) => {
    const at = `${view.name}/${view.features[index]?.name}/${member}`;
    invariant(false, `a published view compiles: ${at}: ${fault.hint ?? fault.expected}`);
  });
  linker.link();
  const { steps, outputs, streams } = linker.plan;
  return { view, streams, steps, outputs };
}

function asDraft(feature: FeatureDefinition): FeatureDraft {
  return feature.kind === 'operator' ? { ...feature, outputs: namesOf(feature.outputs) } : feature;
}

function namesOf(outputs: readonly { readonly name: string }[]): readonly string[] | undefined {
  return outputs.length === 1 && outputs[0]?.name === '' ? undefined : outputs.map(({ name }) => name);
}
