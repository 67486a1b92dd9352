import { nearestWords } from '@sibyl/kernel';
import { EXPRESSION_MAX } from '../expressions/cel-engine';
import { VALUE_TYPES } from '../feature-value';
import type { DefinitionParts } from './definition-parts';
import { DURATION_EXPECTED, DURATION_MAX, parseDuration } from './duration';
import type { DraftOf, FeatureDraft } from './feature-draft';
import type { OperatorParams, StreamDefinition, Window } from './feature-view';
import { readInputs } from './input-reader';
import { NAME_EXPECTED, type ObjectReader } from './object-reader';
import { defined, readRules, scalar } from './rule-reader';

export const FEATURES_MAX = 512;
const EVENTS_MAX = 16_384;
const PARAM_TEXT_MAX = 64;

/** `request_time` is what expressions call the moment that is asked about. */
export const REQUEST_TIME = 'request_time';

/** One feature as it is written. Undefined where so much is wrong that nothing can follow from it. */
export function readFeature(
  reader: ObjectReader,
  entity: string | undefined,
  streams: readonly StreamDefinition[],
  parts: DefinitionParts,
): FeatureDraft | undefined {
  const common = readCommon(reader);
  const kinds = ['op', 'expr', 'source'].filter((name) => reader.has(name));
  if (kinds.length !== 1) {
    return reader.fault(kinds[1] ?? 'op', 'exactly one of op (an operator), expr (an expression) and source');
  }
  const draft =
    kinds[0] === 'op'
      ? readOperator(reader, common, streams, parts)
      : kinds[0] === 'expr'
        ? readExpression(reader, common)
        : readSource(reader, common, entity);
  reader.done();
  return draft;
}

function readSource(reader: ObjectReader, common: Common, entity: string | undefined): FeatureDraft | undefined {
  const source = reader.choice('source', ['request', 'static']);
  if (source === 'request') return readRequest(reader, common);
  return source && readStatic(reader, common, entity);
}

type Common = Pick<FeatureDraft, 'name' | 'ttl' | 'required' | 'default' | 'onNonFinite' | 'rules' | 'description'>;

function readCommon(reader: ObjectReader): Common {
  const name = reader.required('name', reader.name('name'), NAME_EXPECTED) ?? '';
  if (name === REQUEST_TIME) reader.fault('name', 'another name: expressions call the moment that is asked about so');
  const value = scalar(reader, 'default');
  const onNonFinite = reader.choice('on_non_finite', ['null', 'default']) ?? 'null';
  if (onNonFinite === 'default' && value === undefined) reader.fault('default', "a value, as 'on_non_finite' names it");
  return {
    name,
    ...defined({ ttl: reader.duration('ttl'), default: value, description: reader.text('description') }),
    required: reader.flag('required') ?? false,
    onNonFinite,
    rules: readRules(reader, false).map(({ rule }) => rule),
  };
}

function readOperator(
  reader: ObjectReader,
  common: Common,
  streams: readonly StreamDefinition[],
  { operators }: DefinitionParts,
): DraftOf<'operator'> | undefined {
  const op = reader.text('op', PARAM_TEXT_MAX) ?? '';
  const operator = operators.get(op);
  const near = nearestWords(op, operators.keys())[0];
  if (!operator) reader.fault('op', `one of ${[...operators.keys()].join(', ')}`, near && `did you mean '${near}'?`);
  const inputs = readInputs(reader, operator?.inputs ?? ['input'], streams);
  const window = readWindow(reader);
  const tile = reader.duration('tile');
  const where = reader.text('where', EXPRESSION_MAX);
  const outputs = reader.list('outputs', 16)?.map(String);
  const params = readParams(reader, operators);
  if (where !== undefined && (!window || 'events' in window)) {
    reader.fault('where', 'no condition: it goes with windows by time, such as window: 10m');
  }
  if (!operator || !inputs) return undefined;
  return { ...common, kind: 'operator', op, ...inputs, ...defined({ window, tile, where }), params, outputs };
}

/** Parameters of any operator; whether it is one of this one, the operator says. */
function readParams(reader: ObjectReader, operators: DefinitionParts['operators']): OperatorParams {
  const known = new Set([...operators.values()].flatMap(({ params }) => params));
  const params: Record<string, OperatorParams[string]> = {};
  for (const name of known) {
    const value = reader.value(name);
    if (typeof value === 'string' && value.length > PARAM_TEXT_MAX) reader.fault(name, 'a short text');
    else if (typeof value === 'number' || typeof value === 'string' || typeof value === 'boolean') params[name] = value;
    else if (value !== undefined) reader.fault(name, 'a number, a short text, true or false');
  }
  return params;
}

function readWindow(reader: ObjectReader): Window | undefined {
  const value = reader.value('window');
  if (value === undefined) return undefined;
  if (typeof value === 'number') {
    const events = reader.number('window', { min: 1, max: EVENTS_MAX, whole: true });
    return events === undefined ? undefined : { events };
  }
  const span = typeof value === 'string' ? parseDuration(value) : undefined;
  if (span !== undefined && span > 0 && span <= DURATION_MAX) return { span };
  return reader.fault('window', `a number of events from 1 to ${EVENTS_MAX}, or ${DURATION_EXPECTED}`);
}

function readExpression(reader: ObjectReader, common: Common): DraftOf<'expression'> | undefined {
  const expression = reader.text('expr', EXPRESSION_MAX);
  const type = reader.choice('dtype', VALUE_TYPES);
  return expression === undefined ? undefined : { ...common, kind: 'expression', expression, type };
}

function readRequest(reader: ObjectReader, common: Common): DraftOf<'request'> | undefined {
  const type = reader.required('dtype', reader.choice('dtype', VALUE_TYPES), VALUE_TYPES.join(', '));
  return type && { ...common, kind: 'request', type };
}

function readStatic(reader: ObjectReader, common: Common, entity: string | undefined): DraftOf<'static'> | undefined {
  const table = reader.required('table', reader.name('table'), 'the name of a stream with table: true');
  const field = reader.name('field') ?? common.name;
  const key = reader.text('key', 128);
  if (table === undefined) return undefined;
  return { ...common, kind: 'static', table, field, ...(key === undefined || key === entity ? {} : { key }) };
}
