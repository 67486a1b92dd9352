import type { ValueKind } from './onnx-model';
import { OperatorKeys } from './operator-key';

/** How an operator is used in one body: how often, how deep, and with how many values at most. */
export interface Use {
  count: number;
  depth: number;
  inputs: number;
  outputs: number;
}

/** The nodes of the main graph or of one function, with all that is nested in them. */
export interface Body {
  readonly pointer: string;
  /** Parameters, of functions. */
  inputs: number;
  outputs: number;
  nodes: number;
  /** Deepest graph within a graph. */
  depth: number;
  /** Operators by key: any of them may turn out to be a function of the file. */
  readonly operators: Map<string, Use>;
}

export interface DeclaredType {
  readonly kind: ValueKind;
  readonly text: string;
  /** `TensorProto.DataType`, of tensors. */
  readonly element?: number;
  readonly shape?: readonly number[];
  readonly dimensionNames?: readonly string[];
}

export interface DeclaredValue {
  readonly pointer: string;
  readonly index: number;
  readonly name: string;
  readonly type: DeclaredType | undefined;
}

/** A file of external data, and how far into it the tensors of the model reach. */
export interface ExternalNeed {
  readonly pointer: string;
  end: number;
}

/** An output whose size a constant decides. */
interface SizeDemand {
  readonly pointer: string;
  readonly operator: string;
  /** The values that hold the sizes, and where names are looked up. */
  readonly sizes: readonly string[];
  readonly scope: Scope;
  readonly bytesPerElement: number;
}

/** What the visitors found in a file, for the checks that need all of it. */
export class ModelFacts {
  irVersion: number | undefined;
  hasGraph = false;
  producerName = '';
  producerVersion = '';
  readonly opsets: { domain: string; version: number }[] = [];
  readonly metadata = new Map<string, string>();
  readonly inputs: DeclaredValue[] = [];
  readonly outputs: DeclaredValue[] = [];
  readonly initializers = new Set<string>();
  readonly operators = new Map<string, number>();
  readonly functions = new Map<string, Body>();
  /** Operators outside the known domains, by key: first place and name. */
  readonly foreign = new Map<string, { pointer: string; label: string }>();
  readonly externalFiles = new Map<string, ExternalNeed>();
  readonly demands: SizeDemand[] = [];
  readonly main: Body = newBody('/graph');
  readonly operatorKeys = new OperatorKeys();
}

/** A graph as names see it: its own constants, then those of the graphs around it. */
export class Scope {
  private readonly constants = new Map<string, readonly number[]>();

  constructor(
    readonly body: Body,
    readonly depth = 0,
    private readonly outer?: Scope,
  ) {
    body.depth = Math.max(body.depth, depth);
  }

  inner(): Scope {
    return new Scope(this.body, this.depth + 1, this);
  }

  define(name: string, integers: readonly number[]): void {
    this.constants.set(name, integers);
  }

  constant(name: string): readonly number[] | undefined {
    return this.constants.get(name) ?? this.outer?.constant(name);
  }
}

export function newBody(pointer: string): Body {
  return { pointer, inputs: 0, outputs: 0, nodes: 0, depth: 0, operators: new Map() };
}
