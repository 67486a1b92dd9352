import { createHash } from 'node:crypto';
import { DomainError } from '@sibyl/kernel';
import type { FeatureSet, FeatureView, StreamDefinition } from '../definitions/feature-view';
import type { DefinitionReader, KnownViews } from '../store/definition-reader';
import { streamDefinition } from './stream-definition';

type Given = Readonly<Record<string, unknown>> & { readonly name: string };

/** Reads definitions that tests give nearly as they are kept; refuses those with a member `wrong`. */
export const plainReader: DefinitionReader = {
  view: (document) => viewOf(checked(document)),
  set: (document, known) => setOf(checked(document), known),
  summary: ({ streams }) => ({
    outputs: [],
    history: streams.map(({ name }) => ({ stream: name, events: 1, span: 0 })),
  }),
  checks: () => undefined,
};

function checked(document: unknown): Given {
  const given = document as Given;
  if ('wrong' in given) throw new DomainError('invalid_definition', 'It is wrong.');
  return given;
}

function viewOf(given: Given): FeatureView {
  const { name, streams = [] } = given as Given & { readonly streams?: readonly Partial<StreamDefinition>[] };
  return {
    name,
    hash: hashOf(given),
    entity: { name: 'symbol', type: 'string', maxLength: 64 },
    streams: streams.map((stream) => streamDefinition({ name: 's', ...stream })),
    features: [],
    tags: {},
  };
}

function setOf(given: Given, known: KnownViews): FeatureSet {
  const { name, views = [] } = given as Given & { readonly views?: readonly string[] };
  const members = views.map((view) => {
    const found = known.view(view);
    if (!found) throw new DomainError('invalid_definition', `There is no view ${view}.`);
    return { name: view, view, viewHash: found.hash, feature: 'price', type: 'double' as const };
  });
  return {
    name,
    hash: hashOf({ ...given, members }),
    members,
    onMissing: 'error',
    onStale: 'error',
    minCompleteness: 1,
  };
}

function hashOf(value: unknown): string {
  return `sha256:${createHash('sha256').update(JSON.stringify(value)).digest('hex')}`;
}
