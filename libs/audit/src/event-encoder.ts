/** Hot path. The exact text of an event: what is hashed, stored and answered. */
import type { Actor } from '@sibyl/kernel';
import type { AuditedModel, AuditEventDraft, Outcome } from './audit-event';
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

/** `place` is trusted (made by this process); every member of the draft may hold whatever a caller sent. */
export function encodeEvent(draft: AuditEventDraft, place: EventPlace): string {
  const requestId = quoteBounded(draft.requestId, INDEXED);
  let text =
    `{"id":"${place.id}","recorded_at":"${instant(place.recordedAtMs)}","occurred_at":"${instant(draft.occurredAtMs)}"` +
    `${headText(draft)}${requestId}`;
  if (draft.traceId !== undefined) text += `,"trace_id":${quoteBounded(draft.traceId, INDEXED)}`;
  const resource = draft.resource;
  text += resource
    ? `,"resource":{"type":${quoteBounded(resource.type, INDEXED)},"id":${quoteBounded(resource.id, INDEXED)}}`
    : `,"resource":{"type":"request","id":${requestId}}`;
  if (draft.model !== undefined) text += modelText(draft.model);
  if (draft.predictionId !== undefined) text += `,"prediction_id":${quoteBounded(draft.predictionId, INDEXED)}`;
  text += `,"duration_ms":${durationText(draft.durationMs)}`;
  if (draft.inputsDigest !== undefined) text += `,"inputs_digest":${quoteBounded(draft.inputsDigest, INDEXED)}`;
  if (draft.outputsDigest !== undefined) text += `,"outputs_digest":${quoteBounded(draft.outputsDigest, INDEXED)}`;
  if (draft.reason !== undefined) text += `,"reason":${quoteBounded(draft.reason, REASON)}`;
  if (draft.changes !== undefined) text += changesText(draft.changes);
  if (draft.count !== undefined) text += `,"count":${integerText(draft.count)}`;
  return `${text},"chain":"${place.chain}","seq":${place.seq}}`;
}

/** What a key does comes again with each of its requests: from where, what, and how it ends. */
class HeadText {
  constructor(
    private readonly action: string,
    private readonly outcome: Outcome,
    private readonly status: number,
    private readonly ip: string,
    readonly text: string,
  ) {}

  fits(draft: AuditEventDraft): boolean {
    return (
      draft.outcome === this.outcome &&
      draft.status === this.status &&
      draft.action === this.action &&
      draft.ip === this.ip
    );
  }
}

/** The objects of a key and of a version are the same from one event to the next: what was written of them last is kept beside them. */
const headTexts = new WeakMap<Actor, HeadText>();
const modelTexts = new WeakMap<AuditedModel, string>();

/** The members from the action to the name of the request id. */
function headText(draft: AuditEventDraft): string {
  const { actor } = draft;
  // Anonymous callers are one object a request: keeping them would only make work for the collector.
  if (actor.type !== 'key') return writeHead(draft);
  const known = headTexts.get(actor);
  if (known?.fits(draft) === true) return known.text;
  const text = writeHead(draft);
  headTexts.set(actor, new HeadText(draft.action, draft.outcome, draft.status, draft.ip, text));
  return text;
}

function writeHead({ action, outcome, status, actor, ip }: AuditEventDraft): string {
  return (
    `,"action":${quoteBounded(action, INDEXED)},"outcome":"${outcome}","status":${integerText(status)}` +
    `,"actor":${writeActor(actor)},"ip":${quoteBounded(ip, INDEXED)},"request_id":`
  );
}

function modelText(model: AuditedModel): string {
  const known = modelTexts.get(model);
  if (known !== undefined) return known;
  const text = `,"model":${writeModel(model)}`;
  modelTexts.set(model, text);
  return text;
}

/** What is frozen comes again with other events, mostly with the very next one. */
let lastChanges: { readonly changes: object; readonly text: string } | undefined;

function changesText(changes: Readonly<Record<string, unknown>>): string {
  if (lastChanges?.changes === changes) return lastChanges.text;
  const text = `,"changes":${valueText(changes, CHANGES)}`;
  if (Object.isFrozen(changes)) lastChanges = { changes, text };
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
