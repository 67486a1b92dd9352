import type { FieldFault } from '@sibyl/kernel';
import type { PushResult } from './feature-event';

/** What became of one event. */
export interface PushedEvent {
  readonly status: PushResult;
  readonly eventId?: string;
  /** Why it was not stored. */
  readonly reason?: string;
  /** What is wrong with it; its pointer is within the event. */
  readonly fault?: FieldFault;
}
