/** Hot path. Who waits for an event to be durable. One of the two is called, once; with many waiting a promise each would cost more than the event. */
export interface CommitReceiver {
  durable(): void;
  /** `audit_unavailable`: the event is not recorded, and nothing may be answered but that. Also called before `submit` returns. */
  lost(error: Error): void;
}
