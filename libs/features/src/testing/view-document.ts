import { DomainError, type FieldFault } from '@sibyl/kernel';
import { CelEngine } from '../expressions/cel-engine';
import { OPERATORS } from '../operators/catalogue';
import type { DefinitionParts, KnownStreams } from '../definitions/definition-parts';
import type { FeatureView } from '../definitions/feature-view';
import { parseView } from '../definitions/view-definition';

const expressions = new CelEngine();

export function partsWith(streams: KnownStreams = { stream: () => undefined }): DefinitionParts {
  return { operators: OPERATORS, expressions, streams };
}

export type Json = Record<string, unknown>;

export const CLOSE = { name: 'price', op: 'last', input: 'close' };

/** A view with bars, transactions and a table, and these features. */
function document(features: readonly unknown[] = [CLOSE], more: Json = {}): Json {
  const fields = {
    open: 'double',
    high: 'double',
    low: 'double',
    close: 'double',
    volume: 'int?',
    venue: 'string',
    live: 'bool',
  };
  const streams = [
    { name: 'bars', identity: 'event_time', fields },
    { name: 'tx', fields: { amount: 'double', merchant: 'string' } },
    { name: 'profile', table: true, fields: { home: 'string', limit: 'double' } },
  ];
  return { kind: 'FeatureView', name: 'v', entity: { name: 'symbol' }, streams, features, ...more };
}

export function parse(features?: readonly unknown[], more?: Json, streams?: KnownStreams): FeatureView {
  return parseView(document(features, more), partsWith(streams));
}

/** What `invalid_definition` says of a definition. */
export function faultsOf(act: () => unknown): readonly FieldFault[] {
  try {
    act();
  } catch (error) {
    if (error instanceof DomainError && error.code === 'invalid_definition') return error.faults ?? [];
    throw error;
  }
  throw new Error('the definition was taken');
}
