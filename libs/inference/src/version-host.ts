import type { Clock } from '@sibyl/kernel';
import type { Flow, FlowVersion } from './flow';
import type { InferenceOptions } from './inference-options';
import type { DropReason } from './version-queue';

/** What a version asks of the runtime that it is loaded in. */
export interface VersionHost<V extends FlowVersion> {
  readonly clock: Clock;
  readonly options: InferenceOptions;
  /** A request waits. */
  wake(flow: Flow<V>): void;
  onDropped(version: V, reason: DropReason | 'refused'): void;
  unload(version: V): Promise<void>;
  totalBytes(version: V): number;
  shrink(version: V): Promise<boolean>;
  /** Its answers have not a row for each row asked. */
  onNotBatchable(version: V): void;
  /** Runners that can run it. */
  runnersOf(version: V): number;
  /** It has ended too many runners and is refused for a while. */
  onTripped(version: V): void;
  /** One request may try whether it still does: a runner must have it loaded. */
  onTried(version: V): void;
  /** It has answered again. */
  onMended(version: V): void;
}
