import type { OnnxLimits } from './onnx-limits';
import { FaultList } from './fault-list';
import { ModelFacts } from './model-facts';

type Counted = 'nodes' | 'tensors' | 'attributes' | 'messages' | 'strings' | 'operators' | 'metadata';

const WORDS: Partial<Record<Counted, string>> = { operators: 'different operators', metadata: 'entries of metadata' };

/** A limit on how much there is of something was passed; looking further would only cost time. */
export class LimitPassed extends Error {}

/** What the visitors of one file share: limits, counts, and the reasons against the model. */
export class Inspection {
  readonly faults: FaultList;
  /** Bytes of all tensors, dense, as their dimensions declare them. */
  tensorBytes = 0;
  readonly facts = new ModelFacts();
  private nodeCount = 0;
  private tensors = 0;
  private attributes = 0;
  private messages = 0;
  private strings = 0;
  private retained = 0;
  private unknown = 0;

  constructor(readonly limits: OnnxLimits) {
    this.faults = new FaultList(limits.faults);
  }

  get nodes(): number {
    return this.nodeCount;
  }

  // A method each: files have millions of these, and a lookup by name is most of what counting costs.
  countNode(): void {
    if (++this.nodeCount > this.limits.nodes) this.tooMany('nodes');
  }

  countTensor(): void {
    if (++this.tensors > this.limits.tensors) this.tooMany('tensors');
  }

  countAttribute(): void {
    if (++this.attributes > this.limits.attributes) this.tooMany('attributes');
  }

  countMessage(): void {
    if (++this.messages > this.limits.messages) this.tooMany('messages');
  }

  countString(): void {
    if (++this.strings > this.limits.strings) this.tooMany('strings');
  }

  /** Ends the walk because there is more of something than a limit allows. */
  tooMany(what: Counted): never {
    const limit = this.limits[what];
    this.stopAtLimit(`at most ${limit} ${WORDS[what] ?? what}`, `more than ${limit}`);
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
