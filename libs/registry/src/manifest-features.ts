import { hasNaN, type Datatype } from '@sibyl/protocol';
import type { FeatureValue, ManifestFeature } from './manifest';
import type { Members } from './members';
import { datatypeOf, definedOnly } from './optional';

const ALLOWED_MAX = 10_000;

/** One entry of `features`: what a request may send, checked against itself. */
export function readFeature(members: Members): ManifestFeature {
  const name = members.name('name');
  const datatype = datatypeOf(members);
  const feature = definedOnly({
    name: name ?? '',
    datatype,
    nullable: members.flag('nullable'),
    min: members.number('min'),
    max: members.number('max'),
    allowed: readAllowed(members, datatype),
  });
  if (feature.min !== undefined && feature.max !== undefined && feature.min > feature.max) {
    members.fault('min', `at most the max, ${feature.max}`);
  }
  if (!ordered(datatype))
    for (const bound of ['min', 'max'])
      if (members.has(bound)) members.fault(bound, `nothing: ${datatype} has no order`);
  if (feature.nullable && datatype && !hasNaN(datatype)) {
    members.fault('nullable', `false: ${datatype} has no value for missing`, 'Only FP16, FP32 and FP64 have NaN.');
  }
  const defaultValue = readDefault(members, feature);
  return defaultValue === undefined ? feature : { ...feature, defaultValue };
}

function readAllowed(members: Members, datatype: Datatype | undefined): readonly FeatureValue[] | undefined {
  const list = members.list('allowed', ALLOWED_MAX);
  if (!list) return undefined;
  if (list.length > 0 && list.every((value): value is FeatureValue => isScalar(value) && fits(value, datatype)))
    return list;
  return members.fault('allowed', `one or more values of ${datatype ?? 'the feature'}`);
}

function readDefault(members: Members, feature: ManifestFeature): unknown {
  const value = members.value('default');
  if (value === undefined) return undefined;
  // A feature of higher rank has an array for its default; its shape is checked when the contract is compiled.
  if (Array.isArray(value)) return value;
  if (!isScalar(value) || !fits(value, feature.datatype))
    return members.fault('default', `a value of ${feature.datatype ?? 'the feature'}`);
  const { min = -Infinity, max = Infinity, allowed } = feature;
  if (typeof value === 'number' && (value < min || value > max))
    members.fault('default', `a number from ${min} to ${max}`);
  if (allowed && !allowed.includes(value)) members.fault('default', 'one of the allowed values');
  return value;
}

function isScalar(value: unknown): value is FeatureValue {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';
}

function ordered(datatype: Datatype | undefined): boolean {
  return datatype !== 'BYTES' && datatype !== 'BOOL';
}

function fits(value: FeatureValue, datatype: Datatype | undefined): boolean {
  if (datatype === undefined) return true;
  if (datatype === 'BYTES') return typeof value === 'string';
  if (datatype === 'BOOL') return typeof value === 'boolean' || value === 0 || value === 1;
  // 64-bit integers beyond 2^53-1 are written as strings.
  if (typeof value === 'string') return /^U?INT64$/.test(datatype) && /^-?\d{1,20}$/.test(value);
  return typeof value === 'number' && (hasNaN(datatype) || Number.isInteger(value));
}
