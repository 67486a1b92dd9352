import { checkDenseSize } from '../checks/tensor-checks';
import type { Inspection } from '../inspection';
import type { FieldShape } from '../schema';
import { MessageVisitor, type Place } from './message-visitor';
import { TensorVisitor, type TensorFacts } from './tensor-visitor';

/** A sparse tensor. The runtime makes it dense, so it counts as what its dimensions say. */
export class SparseTensorVisitor extends MessageVisitor {
  private readonly dimensions: number[] = [];
  private rank = 0;
  private values: TensorFacts | undefined;

  constructor(
    inspection: Inspection,
    place: Place,
    private readonly done?: (facts: TensorFacts) => void,
  ) {
    super(inspection, 'SparseTensorProto', place);
    inspection.countTensor();
  }

  override number(_field: string, value: number): void {
    this.rank++;
    if (this.rank <= this.inspection.limits.rank) this.dimensions.push(value);
  }

  override open(field: FieldShape): MessageVisitor | undefined {
    return new TensorVisitor(this.inspection, this.next(field), (facts) => {
      if (field.name === 'values') this.values = facts;
    });
  }

  override close(): void {
    const { dimensions, rank } = this;
    checkDenseSize({ dimensions, rank, bits: this.values?.elementBits ?? 8 }, this.inspection, this.pointer);
    this.done?.({ name: this.values?.name ?? '', elementBits: this.values?.elementBits, integers: undefined });
  }
}
