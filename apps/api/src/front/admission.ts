/** Hot path. See docs/paths/predict.md. */
import { credentialOf, type Gate, type Scope } from '@sibyl/auth';
import type { Clock, IdSource } from '@sibyl/kernel';
import { acceptsJson, notAcceptable } from '../http/accept';
import { arrive } from '../http/arrival';
import { checkJsonType } from '../http/body';
import type { RequestContext } from '../http/request-context';
import type { Exchange } from './exchange';
import type { Replies } from './replies';
import type { Wire } from './wire';

export interface AdmissionParts {
  readonly gate: Gate;
  readonly replies: Replies;
  readonly clock: Clock;
  readonly ids: IdSource;
}

/** What a route asks of its callers, and what its events are called. */
export interface Admission {
  readonly scope: Scope;
  readonly action: string;
  /** The model that the path names. */
  readonly model?: string | undefined;
}

/** Begins the account of a request. */
export function begin(wire: Wire, { clock, ids }: Pick<AdmissionParts, 'clock' | 'ids'>): RequestContext {
  return arrive(wire.headers, wire.address, clock, ids);
}

/** Who asks, whether they may, and what they want of the answer; nobody has to read a byte of the body for that. Throws what refuses them. */
export function admit(
  { wire, pattern, context }: Exchange,
  { scope, action, model }: Admission,
  { gate, replies }: Pick<AdmissionParts, 'gate' | 'replies'>,
): void {
  const { headers, address } = wire;
  context.route = pattern;
  context.action = action;
  context.principal = gate.authenticate(credentialOf(headers), address, wire.proof);
  gate.authorize(context.principal, scope, model);
  context.limitState = gate.admit(context.principal);
  replies.refuseWhenStopping();
  if (!acceptsJson(headers.accept)) throw notAcceptable();
  checkJsonType(wire);
}
