import type { FieldContent } from '../wire/field-content';
import { checkTensor, type DeclaredTensor } from '../checks/tensor-checks';
import { elementType } from '../element-types';
import type { Inspection } from '../inspection';
import type { FieldShape } from '../schema';
import { EntryVisitor } from './entry-visitor';
import { MessageVisitor, type Place } from './message-visitor';

/** Sizes are given by tensors of a few integers; longer ones are weights. */
const SMALL_INTEGERS = 32;

/** What the graph around a tensor wants to know of it. */
export interface TensorFacts {
  readonly name: string;
  readonly elementBits: number | undefined;
  /** The elements, where they are a few INT64. */
  readonly integers: readonly number[] | undefined;
}

/** A tensor: an initializer, an attribute's value, or half of a sparse tensor. */
export class TensorVisitor extends MessageVisitor {
  private readonly tensor: DeclaredTensor = {
    dimensions: [],
    rank: 0,
    element: 0,
    entries: new Map(),
    rawBytes: undefined,
    external: [],
    location: 0,
  };
  private name = '';
  private raw: Buffer | undefined;
  private readonly listed: number[] = [];

  constructor(
    inspection: Inspection,
    place: Place,
    private readonly done?: (facts: TensorFacts) => void,
  ) {
    super(inspection, 'TensorProto', place);
    inspection.countTensor();
  }

  override wanted(field: string): number {
    if (field === 'name') return this.inspection.limits.nameBytes;
    return field === 'raw_data' ? SMALL_INTEGERS * 8 : 0;
  }

  override number(field: string, value: number): void {
    if (field === 'dims') this.dimension(value);
    else if (field === 'data_type') this.tensor.element = value;
    else if (field === 'data_location') this.tensor.location = value;
    else this.entry(field, value);
  }

  override numbers(field: string, count: number): void {
    this.addEntries(field, count);
  }

  override bytes(field: string, length: number, content: FieldContent | undefined): void {
    if (field === 'name') {
      this.name = this.text(field, content);
    } else if (field === 'raw_data') {
      this.tensor.rawBytes = length;
      if (content !== undefined) this.raw = content.copy();
    } else {
      this.addEntries(field, 1);
    }
  }

  override open(field: FieldShape): MessageVisitor | undefined {
    if (field.name !== 'external_data') return super.open(field);
    return new EntryVisitor(this.inspection, this.next(field), {
      valueBytes: this.inspection.limits.nameBytes,
      done: (key, value) => this.tensor.external.push([key, value]),
    });
  }

  override close(): void {
    checkTensor(this.tensor, this.inspection, this.pointer);
    this.done?.({
      name: this.name,
      elementBits: elementType(this.tensor.element)?.bits,
      integers: this.integers(),
    });
  }

  private dimension(value: number): void {
    this.tensor.rank++;
    if (this.tensor.rank <= this.inspection.limits.rank) this.tensor.dimensions.push(value);
  }

  private entry(field: string, value: number): void {
    this.addEntries(field, 1);
    if (field === 'int64_data' && this.listed.length <= SMALL_INTEGERS) this.listed.push(value);
  }

  private addEntries(field: string, count: number): void {
    this.tensor.entries.set(field, (this.tensor.entries.get(field) ?? 0) + count);
  }

  private integers(): readonly number[] | undefined {
    if (elementType(this.tensor.element)?.datatype !== 'INT64') return undefined;
    const { raw } = this;
    if (raw === undefined) {
      return this.tensor.rawBytes === undefined && this.listed.length <= SMALL_INTEGERS ? this.listed : undefined;
    }
    return Array.from({ length: raw.length >> 3 }, (_, index) => Number(raw.readBigInt64LE(index * 8)));
  }
}
