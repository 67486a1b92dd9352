import { Injectable } from '@nestjs/common';
import {
  LISTS,
  placeOf,
  TRAINING_FORMATS,
  type AskedRow,
  type GivenRow,
  type ReadRequest,
  type TrainingRequest,
} from '@sibyl/features';
import { DomainError, TURNS, received } from '@sibyl/kernel';
import { PayloadDigest } from '@sibyl/prediction';
import { checkJsonType, readBody } from '../http/body';
import { HttpOptions } from '../http/http-options';
import { parseJson } from '../http/json-text';
import type { ApiRequest } from '../http/request-context';
import { refuseUnknown } from '../http/validation.pipe';

/** Deeper than any request: lists in an object of a list. */
export const READ_DEPTH = 8;
const TIMEOUT_MS_MAX = 10_000;

const MOMENT = ['timestamp', 'known_at', 'given', 'timeout_ms'];
const ONLINE = ['set', 'service', 'features', 'entities', ...MOMENT, 'max_staleness', 'include'];
const EXPLAIN = ['set', 'service', 'feature', 'entity', ...MOMENT];

const HISTORICAL = ['set', 'service', 'features', 'rows', 'generate', 'known_at', 'format', 'statuses'];
const GENERATE = ['stream', 'from', 'to', 'step'];

type Body = Readonly<Record<string, unknown>>;

/** A read of now, and what its caller calls a set. */
export interface OnlineRequest extends ReadRequest {
  readonly called: 'set' | 'service';
}

/** What a read of features asks for, read by hand: a thousand entities are no work for decorators. */
export function onlineOf(body: unknown): OnlineRequest {
  const { entities, max_staleness: maxStaleness, include, ...others } = objectOf(body, ONLINE);
  if (!Array.isArray(entities) || entities.length === 0) throw wrong('/entities', 'a list of entities', entities);
  const { given, ...rest } = givenOf(others);
  const at = others['given'] === undefined ? '/features' : '/given';
  return {
    ...{ ...selectedOf(rest), ...momentOf(rest), rows: rowsOf(entities, given) },
    ...(given !== undefined && !Array.isArray(given) && { places: { ...LISTS, given: () => placeOf(at) } }),
    called: rest['service'] === undefined ? 'set' : 'service',
    ...(maxStaleness === undefined ? {} : { maxStaleness }),
    ...(include === undefined ? {} : { origins: includesMeta(include) }),
  };
}

/** Beside a set `features` is an object: what `given` is for all entities. */
function givenOf(body: Body): Body {
  const { features, ...rest } = body;
  const isObject = typeof features === 'object' && features !== null && !Array.isArray(features);
  if (!isObject || (body['set'] ?? body['service']) === undefined) return body;
  if (body['given'] !== undefined) throw wrong('/features', "not both 'features' and 'given' beside a set", features);
  return { ...rest, given: features };
}

function includesMeta(include: unknown): boolean {
  if (!Array.isArray(include)) throw wrong('/include', 'a list of: meta', include);
  for (const [i, one] of include.entries()) if (one !== 'meta') throw wrong(`/include/${i}`, 'meta', one);
  return include.length > 0;
}

/** The same of other requests for values of features. */
@Injectable()
export class ReadBody {
  constructor(
    private readonly options: HttpOptions,
    private readonly digest: PayloadDigest,
  ) {}

  async explain(request: ApiRequest): Promise<{ readonly asked: ReadRequest; readonly feature: string }> {
    const body = await this.body(request, EXPLAIN);
    const { feature, set = body['service'] } = body;
    if (typeof feature !== 'string') throw wrong('/feature', 'the name of a feature', feature);
    const selected = selectedOf(set === undefined ? { features: [feature] } : { ...body, features: undefined });
    const { entity, given } = body;
    const places = {
      entity: () => placeOf('/entity'),
      given: () => placeOf(Array.isArray(given) ? '/given/0' : '/given'),
      feature: () => '/feature',
    };
    return { asked: { ...selected, ...momentOf(body), places, rows: rowsOf([entity], given) }, feature };
  }

  async historical(request: ApiRequest): Promise<TrainingRequest> {
    return trainingOf(await this.body(request, HISTORICAL));
  }

  private async body(request: ApiRequest, members: readonly string[]): Promise<Body> {
    checkJsonType(request);
    const { bodyBytes: bytes, bodyTimeoutMs: timeoutMs, jsonDepth } = this.options;
    const text = await readBody(request, { bytes, timeoutMs });
    request.context.inputsDigest = await this.digest.ofLong([text], TURNS);
    return objectOf(parseJson(text, Math.min(READ_DEPTH, jsonDepth)), members);
  }
}

/** The object that a request has to be, with no members but these. */
function objectOf(body: unknown, members: readonly string[], pointer = ''): Body {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) throw wrong(pointer, 'an object', body);
  refuseUnknown(body, members, pointer);
  return body as Body;
}

/** Exactly one of a set and a list of features. */
function selectedOf(body: Body): Pick<ReadRequest, 'set' | 'features'> {
  const { set = body['service'], features } = body;
  if (body['set'] !== undefined && body['service'] !== undefined)
    throw wrong('/service', "not both 'set' and 'service'", body['service']);
  if ((set === undefined) === (features === undefined)) throw wrong('/set', 'a set, or a list of features', set);
  if (set !== undefined) {
    if (typeof set !== 'string') throw wrong(body['set'] === undefined ? '/service' : '/set', 'the name of a set', set);
    return { set };
  }
  const isList = Array.isArray(features) && features.length > 0 && features.every((one) => typeof one === 'string');
  if (!isList) throw wrong('/features', 'a list of view:feature', features);
  return { features: features as readonly string[] };
}

function trainingOf(body: Body): TrainingRequest {
  const { rows, generate, known_at: knownAt } = body;
  if ((rows === undefined) === (generate === undefined)) throw wrong('/rows', 'rows, or generate', rows);
  const request = { ...selectedOf(body), ...outputOf(body), knownAt };
  if (rows !== undefined) {
    if (!Array.isArray(rows) || rows.length === 0) throw wrong('/rows', 'a list of rows', rows);
    return { ...request, rows: rows as readonly GivenRow[] };
  }
  const grid = objectOf(generate, GENERATE, '/generate');
  if (typeof grid['stream'] !== 'string') throw wrong('/generate/stream', 'the name of a stream', grid['stream']);
  return { ...request, generate: { ...grid, stream: grid['stream'] } as TrainingRequest['generate'] & object };
}

/** Of a body or of a query. */
export function outputOf({ format = 'ndjson', statuses = false }: Body): Pick<TrainingRequest, 'format' | 'statuses'> {
  const known = TRAINING_FORMATS.find((one) => one === format);
  if (!known) throw wrong('/format', TRAINING_FORMATS.join(', '), format);
  if (typeof statuses !== 'boolean') throw wrong('/statuses', 'true or false', statuses);
  return { format: known, statuses };
}

function momentOf({ timestamp, known_at: knownAt, timeout_ms: given }: Body): Omit<ReadRequest, 'rows'> {
  const isTime = Number.isInteger(given) && (given as number) >= 1 && (given as number) <= TIMEOUT_MS_MAX;
  if (given !== undefined && !isTime)
    throw wrong('/timeout_ms', `a whole number of milliseconds, 1 to ${TIMEOUT_MS_MAX}`, given);
  return { timestamp, knownAt, ...(given === undefined ? {} : { deadlineMs: given as number }) };
}

/** What is given is the same for all entities, or a list with one object for each. */
function rowsOf(entities: readonly unknown[], given: unknown): AskedRow[] {
  if (given === undefined) return entities.map((entity) => ({ entity }));
  if (!Array.isArray(given)) return entities.map((entity) => ({ entity, given }));
  if (given.length !== entities.length) throw wrong('/given', `one object for each of ${entities.length}`, given);
  return entities.map((entity, i) => ({ entity, given: (given[i] ?? {}) as unknown }));
}

function wrong(pointer: string, expected: string, given: unknown): DomainError {
  return new DomainError('invalid_parameter', `Wrong or missing: ${pointer.slice(1) || 'the body'}.`, {
    faults: [{ pointer, expected, received: received(given) }],
  });
}
