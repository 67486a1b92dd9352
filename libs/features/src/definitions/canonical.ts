import { createHash } from 'node:crypto';
import { formatDuration } from './duration';
import type { FeatureDefinition, FeatureSet, FeatureView, StreamDefinition, ValueRule } from './feature-view';

/** A definition as a document in which nothing is left to defaults: parsing it gives the same definition. */
export type CanonicalDocument = Readonly<Record<string, unknown>>;

export function canonicalView(view: Omit<FeatureView, 'hash'>): CanonicalDocument {
  const { name, description, entity, streams, features, freshnessSlo, tags } = view;
  return {
    ...{ kind: 'FeatureView', name, description, tags },
    entity: { name: entity.name, type: entity.type, pattern: entity.pattern, max_length: entity.maxLength },
    streams: streams.map(canonicalStream),
    features: features.map(canonicalFeature),
    freshness_slo: duration(freshnessSlo),
  };
}

export function canonicalSet(set: Omit<FeatureSet, 'hash'>): CanonicalDocument {
  return {
    ...{ kind: 'FeatureSet', name: set.name, description: set.description },
    features: set.members.map(({ name, view, viewHash, feature, type, default: value }) => ({
      ...{ name, feature: `${view}@${viewHash.slice('sha256:'.length)}:${feature}`, dtype: type, default: value },
    })),
    ...{ on_missing: set.onMissing, on_stale: set.onStale, min_completeness: set.minCompleteness },
  };
}

/** A stream of another view is that view's to define: what it is today is not part of this one. */
function canonicalStream(stream: StreamDefinition): CanonicalDocument {
  const { name, of, identity, fields, allowedLateness, retention, rules, table } = stream;
  if (of !== undefined) return { name, of };
  return {
    ...{ name, identity, table, rules: rules.map(canonicalRule) },
    fields: Object.fromEntries(fields.map((field) => [field.name, { type: field.type, nullable: field.nullable }])),
    ...{ allowed_lateness: duration(allowedLateness), retention: duration(retention) },
  };
}

function canonicalFeature(feature: FeatureDefinition): CanonicalDocument {
  const { name, description, ttl, required, default: value, onNonFinite, rules } = feature;
  return {
    ...{ name, description, required, default: value, ttl: duration(ttl) },
    ...{ on_non_finite: onNonFinite, rules: rules.map(canonicalRule), ...ofKind(feature) },
  };
}

function ofKind(feature: FeatureDefinition): CanonicalDocument {
  switch (feature.kind) {
    case 'operator': {
      const { op, stream, inputs, window, tile, where, params, outputs } = feature;
      const names = outputs.map((output) => output.name).filter((name) => name !== '');
      return {
        ...params,
        ...{ op, stream, where, tile: duration(tile) },
        inputs: inputs.length > 0 ? inputs : undefined,
        window: window && ('events' in window ? window.events : duration(window.span)),
        outputs: names.length > 0 ? names : undefined,
      };
    }
    case 'expression':
      return { expr: feature.expression, dtype: feature.type };
    case 'request':
      return { source: 'request', dtype: feature.type };
    case 'static':
      return { source: 'static', table: feature.table, field: feature.field, key: feature.key };
  }
}

function canonicalRule(rule: ValueRule): CanonicalDocument {
  const { field, between, inSet, length, regex, monotonic, maxChange, maxAge, unique, expression, action, value } =
    rule;
  return {
    ...{ field, length, regex, monotonic, unique, expression, action, value, in_set: inSet },
    between: between && {
      ...{ min: between.min, max: between.max, strict_min: between.exclusiveMin, strict_max: between.exclusiveMax },
    },
    ...{ max_change: maxChange, max_age: duration(maxAge) },
  };
}

function duration(micros: number | undefined): string | undefined {
  return micros === undefined ? undefined : formatDuration(micros);
}

/** `sha256:` of the document as JSON with its members in order: the same however it was written. */
export function hashOf(document: CanonicalDocument): string {
  return `sha256:${createHash('sha256').update(canonicalJson(document)).digest('hex')}`;
}

/** Members sorted by their names, as RFC 8785 does; those that are undefined are left out. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  members.sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${canonicalJson(member)}`).join(',')}}`;
}
