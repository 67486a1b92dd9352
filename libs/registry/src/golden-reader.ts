import { DomainError } from '@sibyl/kernel';
import {
  decodeNested,
  elementBytes,
  elementCount,
  isDatatype,
  TYPED_ARRAYS,
  type ModelSignature,
  type Tensor,
  type TensorSpec,
} from '@sibyl/protocol';
import type { Golden, GoldenSample, Tolerance } from './golden';
import { checkSample } from './golden-rules';
import { FaultList, isObject, parseJsonObject, pointerTo, type JsonObject } from './json-document';
import { effectiveTask, type Manifest } from './manifest';
import { Members } from './members';
import { isPackagePath } from './package-path';
import type { PackageLimits } from './registry-options';

export const GOLDEN_FILE = 'golden.json';

const POINTER = `/${GOLDEN_FILE}/samples`;
/** What a float32 model may differ from its own library by, where golden.json names no tolerance. */
const DEFAULT_TOLERANCE: Tolerance = { rtol: 1e-5, atol: 1e-6 };

/** golden.json as it lies in the package: read before the raw files that it names are there. */
export interface GoldenDocument {
  readonly document: JsonObject;
  readonly samples: readonly JsonObject[];
  /** Paths of the raw files that samples name. */
  readonly files: readonly string[];
}

/** Parses golden.json and finds the raw files that belong to it. Throws model_rejected. */
export function readGoldenDocument(bytes: Uint8Array, limits: PackageLimits): GoldenDocument {
  const document = parseJsonObject(bytes, GOLDEN_FILE, limits.jsonDepth);
  const faults = new FaultList();
  const list = new Members(document, `/${GOLDEN_FILE}`, faults).list('samples', limits.goldenSamples) ?? [];
  const samples = list.flatMap((sample, i) => {
    if (isObject(sample)) return [sample];
    faults.add(pointerTo(POINTER, i), 'an object', sample);
    return [];
  });
  const files = new Set<string>();
  samples.forEach((sample, i) => {
    for (const [pointer, value] of tensorsOf(sample, i)) {
      if (!isObject(value)) continue;
      if (typeof value['file'] === 'string' && isPackagePath(value['file'])) files.add(value['file']);
      else faults.add(`${pointer}/file`, 'the relative path of a file in the package', value['file']);
    }
  });
  refuse(faults);
  return { document, samples, files: [...files] };
}

export interface GoldenContext {
  readonly manifest: Manifest;
  readonly signature: ModelSignature;
  readonly limits: PackageLimits;
  /** The bytes of a raw file of the package. */
  readonly raw: ReadonlyMap<string, Buffer>;
}

/** Decodes the samples against the model's signature and holds them to the manifest. Throws model_rejected. */
export function readGolden(golden: GoldenDocument, context: GoldenContext): Golden {
  const faults = new FaultList();
  const members = new Members(golden.document, `/${GOLDEN_FILE}`, faults);
  const tolerance = readTolerance(members.inner('tolerance'));
  const source = members.text('source', 1000);
  const samples: GoldenSample[] = [];
  golden.samples.forEach((sample, index) => {
    const decoded = new SampleReader(context, faults, index).read(sample);
    if (decoded) samples.push(decoded);
  });
  refuse(faults);
  const skipped = golden.samples.length - samples.length;
  return { ...(source === undefined ? {} : { source }), tolerance, samples, skipped };
}

function refuse(faults: FaultList): void {
  if (!faults.none)
    throw new DomainError('model_rejected', 'The golden samples have faults.', { faults: faults.faults });
}

function readTolerance(members: Members | undefined): Tolerance {
  if (!members) return DEFAULT_TOLERANCE;
  const read = (name: 'rtol' | 'atol'): number => {
    const value = members.number(name) ?? DEFAULT_TOLERANCE[name];
    if (!(value >= 0 && value < 1e300)) members.fault(name, 'a number from 0');
    return value;
  };
  return { rtol: read('rtol'), atol: read('atol') };
}

function* tensorsOf(sample: JsonObject, index: number): Generator<[string, unknown]> {
  for (const side of ['inputs', 'outputs']) {
    const tensors = sample[side];
    if (!isObject(tensors)) continue;
    for (const [name, value] of Object.entries(tensors)) yield [pointerTo(`${POINTER}/${index}/${side}`, name), value];
  }
}

class SampleReader {
  constructor(
    private readonly context: GoldenContext,
    private readonly faults: FaultList,
    private readonly index: number,
  ) {}

  read(sample: JsonObject): GoldenSample | undefined {
    const { signature, manifest } = this.context;
    const inputs = this.side(sample, 'inputs');
    const outputs = this.side(sample, 'outputs');
    if (!inputs || !outputs) return undefined;
    const decodedInputs = this.inputTensors(inputs, signature.inputs);
    const decodedOutputs = this.outputTensors(outputs, signature.outputs);
    if (!decodedInputs) return undefined;
    checkSample(manifest, decodedInputs, (tensor) => pointerTo(`${POINTER}/${this.index}/inputs`, tensor), this.faults);
    return { index: this.index, inputs: decodedInputs, outputs: decodedOutputs };
  }

  // Samples of language models carry texts and ids, and outputs of the steps around the model: those are compared elsewhere.
  private get foreign(): boolean {
    const task = effectiveTask(this.context.manifest);
    return task === 'embedding' || task === 'text-generation';
  }

  private side(sample: JsonObject, side: 'inputs' | 'outputs'): JsonObject | undefined {
    const tensors = sample[side];
    if (isObject(tensors)) return tensors;
    if (!this.foreign)
      this.faults.add(`${POINTER}/${this.index}/${side}`, 'an object with a member for each tensor', tensors);
    return undefined;
  }

  private inputTensors(tensors: JsonObject, specs: readonly TensorSpec[]): Tensor[] | undefined {
    const pointer = `${POINTER}/${this.index}/inputs`;
    for (const name of Object.keys(tensors)) {
      if (!specs.some((spec) => spec.name === name))
        this.faults.add(pointerTo(pointer, name), 'the name of an input of the model', name);
    }
    const decoded = specs.map((spec) => this.decode(tensors[spec.name], spec, pointerTo(pointer, spec.name)));
    return decoded.every((tensor) => tensor !== undefined) ? decoded : undefined;
  }

  private outputTensors(tensors: JsonObject, specs: readonly TensorSpec[]): Tensor[] {
    const pointer = `${POINTER}/${this.index}/outputs`;
    return Object.keys(tensors).flatMap((name) => {
      const spec = specs.find((candidate) => candidate.name === name);
      if (!spec) {
        if (!this.foreign) this.faults.add(pointerTo(pointer, name), 'the name of an output of the model', name);
        return [];
      }
      // Without a shape: what the file declares of outputs is not to be relied on.
      const tensor = this.decode(tensors[name], { name, datatype: spec.datatype }, pointerTo(pointer, name));
      return tensor ? [tensor] : [];
    });
  }

  private decode(value: unknown, spec: TensorSpec, pointer: string): Tensor | undefined {
    if (value === undefined) {
      this.faults.add(pointer, 'a nested array', value);
      return undefined;
    }
    if (isObject(value)) return this.decodeRaw(value, spec, pointer);
    try {
      const maxElements = Math.ceil(this.context.limits.goldenRawBytes / 4);
      return decodeNested(value, spec, pointer, { infinities: true, maxElements });
    } catch (error) {
      if (!(error instanceof DomainError)) throw error;
      for (const fault of error.faults ?? [])
        this.faults.add(fault.pointer, fault.expected ?? spec.datatype, fault.received);
      return undefined;
    }
  }

  private decodeRaw(value: JsonObject, spec: TensorSpec, pointer: string): Tensor | undefined {
    const { file, datatype, shape } = value;
    const bytes = this.context.raw.get(String(file));
    if (!isDatatype(datatype) || datatype !== spec.datatype) {
      this.faults.add(`${pointer}/datatype`, spec.datatype, datatype);
      return undefined;
    }
    const size = elementBytes(datatype);
    if (size === undefined || datatype === 'BYTES') {
      this.faults.add(
        `${pointer}/datatype`,
        'a datatype of fixed size; strings are written as nested arrays',
        datatype,
      );
      return undefined;
    }
    if (!isShape(shape) || !shapeFits(shape, spec.shape)) {
      this.faults.add(
        `${pointer}/shape`,
        spec.shape ? `[${spec.shape.join(',')}]` : 'whole numbers from 0',
        JSON.stringify(shape),
      );
      return undefined;
    }
    const count = elementCount(shape);
    if (!bytes || bytes.length !== count * size) {
      this.faults.add(
        `${pointer}/file`,
        `${count * size} bytes for this shape`,
        bytes ? `${bytes.length} bytes` : 'no such file',
      );
      return undefined;
    }
    // A copy of its own, because typed arrays must lie on a multiple of their element size. Every supported machine is little-endian.
    const data = new TYPED_ARRAYS[datatype](Uint8Array.from(bytes).buffer, 0, count);
    return { name: spec.name, datatype, shape, data };
  }
}

function isShape(shape: unknown): shape is number[] {
  return (
    Array.isArray(shape) &&
    shape.length <= 32 &&
    shape.every((size) => Number.isSafeInteger(size) && (size as number) >= 0)
  );
}

function shapeFits(shape: readonly number[], declared: readonly number[] | undefined): boolean {
  return (
    !declared ||
    (shape.length === declared.length && shape.every((size, i) => declared[i] === -1 || declared[i] === size))
  );
}
