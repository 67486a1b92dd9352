import type { OnnxLimits } from './onnx-limits';
import { FaultList } from './fault-list';
import { ModelFacts } from './model-facts';

type Counted = 'nodes' | 'tensors' | 'attributes' | 'messages' | 'strings';

/** A limit on how much there is of something was passed; looking further would only cost time. */
export class LimitPassed extends Error {}

/** What the visitors of one file share: limits, counts, and the reasons against the model. */
export class Inspection {
  readonly faults: FaultList;
  /** Bytes of all tensors, dense, as their dimensions declare them. */
  tensorBytes = 0;
  readonly facts = new ModelFacts();
  private readonly counts: Record<Counted, number> = { nodes: 0, tensors: 0, attributes: 0, messages: 0, strings: 0 };
  private retained = 0;
  private unknown = 0;

  constructor(readonly limits: OnnxLimits) {
    this.faults = new FaultList(limits.faults);
  }

  get nodes(): number {
    return this.counts.nodes;
  }

  count(what: Counted): void {
    const limit = this.limits[what];
    if (++this.counts[what] > limit) this.stopAtLimit(`at most ${limit} ${what}`, `more than ${limit}`);
  }

  /** Counts bytes of fields that ONNX does not define, and says where they are when there are too many. */
  passOver(bytes: number, pointer: () => string): void {
    this.unknown += bytes;
    const limit = this.limits.unknownBytes;
    if (this.unknown <= limit) return;
    const expected = `at most ${limit} bytes beside the fields that ONNX defines`;
    this.stopAtLimit(expected, `more than ${limit}`, pointer());
  }

  /** Declares that something of this size from the file is kept in memory. */
  retain(bytes: number): void {
    this.retained += bytes;
    const limit = this.limits.retainedBytes;
    if (this.retained > limit)
      this.stopAtLimit(`names and metadata of at most ${limit} bytes together`, `more than ${limit}`);
  }

  /** Ends the walk because of a limit. */
  stopAtLimit(expected: string, received: string, pointer = '/graph'): never {
    this.faults.add({ pointer, expected, received });
    throw new LimitPassed(expected);
  }
}
