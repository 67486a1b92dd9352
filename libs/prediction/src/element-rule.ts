/** Hot path. See docs/paths/predict.md. */
import type { ErrorCode } from '@sibyl/kernel';
import {
  allocate,
  elementWriter,
  float16ToNumber,
  numberToFloat16,
  type Datatype,
  type TensorData,
} from '@sibyl/protocol';

/** What a manifest says about the values of a feature. */
export interface ValueRange {
  readonly min?: number;
  readonly max?: number;
  readonly allowed?: readonly (string | number | boolean)[];
}

/** Which rule an element breaks, and what would have been right. */
export interface RuleBreach {
  readonly code: ErrorCode;
  readonly expected: string;
}

/**
 * A manifest's rule about elements as the model will see them: bounds and allowed values are rounded as the values were,
 * so that 0.7 is within a maximum of 0.7 in FP32 too.
 */
export class ElementRule {
  private readonly min: number;
  private readonly max: number;
  private readonly allowed: ReadonlySet<unknown> | undefined;
  private readonly half: boolean;

  constructor(
    datatype: Datatype,
    private readonly range: ValueRange,
  ) {
    this.half = datatype === 'FP16';
    this.min = rounded(datatype, range.min ?? -Infinity);
    this.max = rounded(datatype, range.max ?? Infinity);
    this.allowed = range.allowed && new Set(range.allowed.map((value) => this.stored(datatype, value)));
  }

  /** A missing value breaks no rule: whether it may be missing was asked before. */
  broken(data: TensorData, index: number): RuleBreach | undefined {
    const value = this.at(data, index);
    if (value === undefined || value !== value) return undefined;
    if (this.allowed !== undefined && !this.allowed.has(value))
      return { code: 'input_not_allowed', expected: this.allowedText() };
    // 64-bit integers are BigInt here, which compare with numbers exactly.
    if (typeof value !== 'string' && (value < this.min || value > this.max))
      return { code: 'input_out_of_range', expected: this.rangeText() };
    return undefined;
  }

  private at(data: TensorData, index: number): number | bigint | string | undefined {
    return this.half ? float16ToNumber(Number(data[index])) : data[index];
  }

  /** The value as it reads once it is an element; itself where it can never be one. */
  private stored(datatype: Datatype, value: string | number | boolean): unknown {
    const data = allocate(datatype, 1);
    return elementWriter(datatype)(data, 0, value) === undefined ? this.at(data, 0) : value;
  }

  private allowedText(): string {
    return `one of ${(this.range.allowed ?? []).slice(0, 20).map(String).join(', ')}`;
  }

  private rangeText(): string {
    const { min, max } = this.range;
    if (min === undefined) return `a number up to ${max}`;
    return max === undefined ? `a number from ${min}` : `a number from ${min} to ${max}`;
  }
}

/** The rule, or undefined where nothing is asked. */
export function compileElementRule(datatype: Datatype, { min, max, allowed }: ValueRange): ElementRule | undefined {
  if (min === undefined && max === undefined && allowed === undefined) return undefined;
  return new ElementRule(datatype, {
    ...(min === undefined ? {} : { min }),
    ...(max === undefined ? {} : { max }),
    ...(allowed === undefined ? {} : { allowed }),
  });
}

function rounded(datatype: Datatype, bound: number): number {
  if (datatype === 'FP32') return Math.fround(bound);
  return datatype === 'FP16' ? float16ToNumber(numberToFloat16(bound)) : bound;
}
