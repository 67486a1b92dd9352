/** Hot path. The exact text of an event: what is hashed, stored and answered. */
import type { Actor } from '@sibyl/kernel';
import type { AuditedModel, AuditEventDraft } from './audit-event';
import { integerText, quote, quoteBounded, valueText } from './json-text';

/** Longest text of a member that is searched by: an index entry of PostgreSQL must stay under 2,700 bytes. */
const INDEXED = 256;
/** Long enough for a sentence of a person, short enough that no event comes near {@link MOST_BODY_BYTES}. */
const REASON = 2048;
const CHANGES = 16_384;

/** No body is longer: the bounds of its members, each character escaped to six bytes, add up to less. */
export const MOST_BODY_BYTES = 65_536;

/** Where an event stands: its own id, when it was recorded, and its place in its chain. */
export interface EventPlace {
  readonly id: string;
  readonly recordedAtMs: number;
  readonly chain: string;
  readonly seq: number;
}

/** Remembers the last text and its literal, for members that are mostly the same from one event to the next. */
class LastQuoted {
  private text = '';
  private literal = '""';

  of(text: string): string {
    if (text !== this.text) {
      this.literal = quoteBounded(text, INDEXED);
      this.text = text;
    }
    return this.literal;
  }
}

const action = new LastQuoted();
const address = new LastQuoted();

/** `place` is trusted (made by this process); every member of the draft may hold whatever a caller sent. */
export function encodeEvent(draft: AuditEventDraft, place: EventPlace): string {
  const requestId = quoteBounded(draft.requestId, INDEXED);
  let text =
    `{"id":"${place.id}","recorded_at":"${instant(place.recordedAtMs)}","occurred_at":"${instant(draft.occurredAtMs)}"` +
    `,"action":${action.of(draft.action)},"outcome":"${draft.outcome}","status":${integerText(draft.status)}` +
    `,"actor":${actorText(draft.actor)},"ip":${address.of(draft.ip)}` +
    `,"request_id":${requestId}`;
  if (draft.traceId !== undefined) text += `,"trace_id":${quoteBounded(draft.traceId, INDEXED)}`;
  const resource = draft.resource;
  text += resource
    ? `,"resource":{"type":${quoteBounded(resource.type, INDEXED)},"id":${quoteBounded(resource.id, INDEXED)}}`
    : `,"resource":{"type":"request","id":${requestId}}`;
  if (draft.model !== undefined) text += `,"model":${modelText(draft.model)}`;
  if (draft.predictionId !== undefined) text += `,"prediction_id":${quoteBounded(draft.predictionId, INDEXED)}`;
  text += `,"duration_ms":${durationText(draft.durationMs)}`;
  if (draft.inputsDigest !== undefined) text += `,"inputs_digest":${quoteBounded(draft.inputsDigest, INDEXED)}`;
  if (draft.outputsDigest !== undefined) text += `,"outputs_digest":${quoteBounded(draft.outputsDigest, INDEXED)}`;
  if (draft.reason !== undefined) text += `,"reason":${quoteBounded(draft.reason, REASON)}`;
  if (draft.changes !== undefined) text += `,"changes":${valueText(draft.changes, CHANGES)}`;
  if (draft.count !== undefined) text += `,"count":${integerText(draft.count)}`;
  return `${text},"chain":"${place.chain}","seq":${place.seq}}`;
}

/** Actors and models come again with every request of a key and a version, as the same objects: their text is kept beside them. */
const actorTexts = new WeakMap<Actor, string>();
const modelTexts = new WeakMap<AuditedModel, string>();

function actorText(actor: Actor): string {
  // Anonymous callers are one object a request: keeping them would only make work for the collector.
  if (actor.type !== 'key') return writeActor(actor);
  const known = actorTexts.get(actor);
  if (known !== undefined) return known;
  const text = writeActor(actor);
  actorTexts.set(actor, text);
  return text;
}

function modelText(model: AuditedModel): string {
  const known = modelTexts.get(model);
  if (known !== undefined) return known;
  const text = writeModel(model);
  modelTexts.set(model, text);
  return text;
}

function writeActor(actor: Actor): string {
  const keyId = actor.keyId === undefined ? '' : `,"key_id":${quoteBounded(actor.keyId, INDEXED)}`;
  return (
    `{"type":${quote(actor.type)},"id":${quoteBounded(actor.id, INDEXED)}${keyId}` +
    `,"name":${quoteBounded(actor.name, INDEXED)}}`
  );
}

function writeModel(model: AuditedModel): string {
  let text = `{"name":${quoteBounded(model.name, INDEXED)}`;
  if (model.version !== undefined) text += `,"version":${quoteBounded(model.version, INDEXED)}`;
  if (model.digest !== undefined) text += `,"digest":${quoteBounded(model.digest, INDEXED)}`;
  if (model.alias !== undefined) text += `,"alias":${quoteBounded(model.alias, INDEXED)}`;
  return `${text}}`;
}

/** Microseconds are as fine as the clock; more digits would only make events longer. */
function durationText(ms: number): string {
  return Number.isFinite(ms) ? String(Math.round(ms * 1000) / 1000) : 'null';
}

const EARLIEST_MS = Date.parse('0001-01-01T00:00:00.000Z');
const LATEST_MS = Date.parse('9999-12-31T23:59:59.999Z');

let secondMs = NaN;
let secondText = '';

/** RFC 3339 in UTC. Events come many to a second, so the text of the second is kept and only the milliseconds change. */
function instant(ms: number): string {
  // A clock that is out of all bounds must not make a time that PostgreSQL refuses.
  const whole = Number.isNaN(ms) ? 0 : Math.min(LATEST_MS, Math.max(EARLIEST_MS, Math.floor(ms)));
  const milliseconds = ((whole % 1000) + 1000) % 1000;
  const second = whole - milliseconds;
  if (second !== secondMs) {
    secondMs = second;
    secondText = new Date(second).toISOString().slice(0, 20);
  }
  return `${secondText}${milliseconds < 10 ? '00' : milliseconds < 100 ? '0' : ''}${milliseconds}Z`;
}
