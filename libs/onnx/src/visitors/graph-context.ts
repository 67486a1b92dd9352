import type { Scope } from '../model-facts';
import type { MessageVisitor, Place } from './message-visitor';

/** The graph that a node stands in, and how to open a graph that stands in the node. */
export interface GraphContext {
  readonly scope: Scope;
  readonly open: (place: Place, inner: Scope) => MessageVisitor;
}
