import type { FileHandle } from 'node:fs/promises';
import { readAt, readThrough } from '../file-window';
import { Inspection } from '../inspection';
import type { OnnxLimits } from '../onnx-limits';
import type { OnnxModel, OnnxValue } from '../onnx-model';
import type { DeclaredShape } from '../visitors/shape-visitor';
import { refusal } from '../refusal';
import { delimited, delimitedHead, encodeMessage } from '../wire/encode-message';
import { ByteWindow } from '../wire/byte-window';
import { Walk } from '../wire/walk';
import { SpanVisitor, type ModelSpans, type NodeSpan, type OutputSpan, type Span } from './model-spans';
import { partsOf, type Edit, type OnnxChange, type OnnxRewrite } from './onnx-rewrite';
import { withLocaleEverywhere } from './text-locale';
import { identityInPlace, readZipMap, tensorShape, tensorValue } from './zipmap';

const ZIPMAP = 'ai.onnx.ml:ZipMap';
const NORMALIZER = ':StringNormalizer';

const MODEL = { graph: 7, opsetImport: 8 };
const GRAPH = { node: 1, output: 12 };

/** Operator sets older than it are not promised by the runtime; this one goes with every IR version since 2017. */
const OLDEST_OPSET = 8;

/** A node or output that is read whole: a ZipMap of 65,536 long names is half of it. */
const MOST_BYTES = 32 * 1_024 * 1_024;

const ZIPMAP_REASON =
  'A list of dictionaries cannot be sent or batched: the tensor that the ZipMap takes apart is answered in its place, and its keys are the classes.';
const LOCALE_REASON =
  'The locale en_US is missing on most servers, where the runtime refuses such a model; C.UTF-8 is part of every Linux and changes case in the same way.';

interface Draft {
  readonly edits: Edit[];
  readonly changes: OnnxChange[];
  /** Outputs that are tensors now, and their shapes. */
  readonly tensors: Map<string, DeclaredShape>;
}

/**
 * What has to change in a file that `inspectOnnxFile` let pass: undefined where it can run as it is. The answer depends on the
 * file and the platform alone, so that whoever asks again gets the same bytes.
 */
export async function planRewrite(
  handle: FileHandle,
  model: OnnxModel,
  limits: OnnxLimits,
  platform: string = process.platform,
): Promise<OnnxRewrite | undefined> {
  const operators = wanted(model, platform);
  if (operators.size === 0) return undefined;
  const { size } = await handle.stat();
  const spans = await findSpans(handle, size, { operators, limits });
  const { graph } = spans;
  const draft: Draft = { edits: [], changes: [], tensors: new Map() };
  for (const node of spans.nodes) {
    if (operatorOf(node) === ZIPMAP) await dropZipMap(handle, node, spans, draft);
    else await replaceLocale(handle, node, draft);
  }
  const { edits, changes, tensors } = draft;
  if (graph === undefined || edits.length === 0) return undefined;
  edits.push(graphHead(graph, edits));
  if (changes.some(({ kind }) => kind === 'zipmap_dropped') && !model.opsets.some(({ domain }) => isDefault(domain))) {
    const opset = encodeMessage('OperatorSetIdProto', { version: OLDEST_OPSET });
    edits.push({ from: size, end: size, bytes: delimited(MODEL.opsetImport, opset) });
  }
  return { changes, model: { ...model, outputs: outputsWith(tensors, model) }, parts: partsOf(size, edits) };
}

function wanted(model: OnnxModel, platform: string): Set<string> {
  const operators = new Set<string>();
  if (model.outputs.some(({ type }) => type.startsWith('seq(map('))) operators.add(ZIPMAP);
  if (platform === 'linux' && model.operators['StringNormalizer'] !== undefined) operators.add(NORMALIZER);
  return operators;
}

function outputsWith(tensors: Draft['tensors'], { outputs }: OnnxModel): OnnxValue[] {
  return outputs.map((value) => {
    const shape = tensors.get(value.name);
    const { name, index } = value;
    return shape === undefined
      ? value
      : { name, index, kind: 'tensor', type: 'tensor(float)', datatype: 'FP32', ...shape };
  });
}

function isDefault(domain: string): boolean {
  return domain === '' || domain === 'ai.onnx';
}

function operatorOf({ domain, type }: NodeSpan): string {
  return `${domain}:${type}`;
}

async function findSpans(
  handle: FileHandle,
  size: number,
  { operators, limits }: { readonly operators: ReadonlySet<string>; readonly limits: OnnxLimits },
): Promise<ModelSpans> {
  const window = new ByteWindow(size);
  const visitor = new SpanVisitor(new Inspection(limits), operators);
  const walk = new Walk(window, visitor);
  await readThrough(handle, window, walk);
  return visitor.spans;
}

async function dropZipMap(handle: FileHandle, node: NodeSpan, spans: ModelSpans, draft: Draft): Promise<void> {
  const bytes = await contentOf(handle, node);
  const { input, output, classes } = readZipMap(bytes);
  const value = spans.outputs.find(({ name }) => name === output);
  // What is no output of the model stays within it, and what the runtime would refuse is left for it to refuse.
  if (value === undefined || classes.length === 0 || draft.tensors.has(output)) return;
  const shape = tensorShape(spans.types.get(input), classes.length);
  draft.edits.push(
    { ...stretch(node), bytes: delimited(GRAPH.node, identityInPlace(bytes)) },
    {
      ...stretch(value),
      bytes: delimited(GRAPH.output, tensorValue(await contentOf(handle, value), shape)),
    },
  );
  const pointer = `/graph/output/${spans.outputs.indexOf(value)}`;
  draft.tensors.set(output, shape);
  draft.changes.push({ kind: 'zipmap_dropped', pointer, reason: ZIPMAP_REASON, output, classes });
}

async function replaceLocale(handle: FileHandle, node: NodeSpan, draft: Draft): Promise<void> {
  const bytes = withLocaleEverywhere(await contentOf(handle, node));
  if (bytes === undefined) return;
  draft.edits.push({ ...stretch(node), bytes: delimited(GRAPH.node, bytes) });
  draft.changes.push({ kind: 'locale_replaced', pointer: `/graph/node/${node.index}`, reason: LOCALE_REASON });
}

/** The graph's tag and length, now that it is longer or shorter. */
function graphHead(graph: Span, edits: readonly Edit[]): Edit {
  const grown = edits.reduce((sum, { from, end, bytes }) => sum + bytes.length - (end - from), 0);
  const length = graph.end - graph.start + grown;
  return { from: graph.from, end: graph.start, bytes: delimitedHead(MODEL.graph, length) };
}

function stretch({ from, end }: Span | OutputSpan): { readonly from: number; readonly end: number } {
  return { from, end };
}

async function contentOf(handle: FileHandle, { start, end }: Span): Promise<Buffer> {
  const length = end - start;
  if (length > MOST_BYTES) {
    const expected = `ZipMap and StringNormalizer nodes of at most ${MOST_BYTES} bytes`;
    throw refusal([{ pointer: '/graph', expected, received: `${length} bytes` }]);
  }
  return readAt(handle, start, Buffer.alloc(length));
}
