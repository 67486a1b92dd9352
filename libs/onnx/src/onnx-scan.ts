import { checkFunctions } from './checks/function-checks';
import { checkSizes } from './checks/size-checks';
import { checkValues } from './checks/value-checks';
import { foreignFormat } from './foreign-format';
import { Inspection, LimitPassed } from './inspection';
import type { ModelFacts } from './model-facts';
import type { OnnxLimits } from './onnx-limits';
import type { OnnxModel } from './onnx-model';
import { checkDomains } from './operators';
import { refusal } from './refusal';
import { toOnnxModel } from './to-onnx-model';
import { ModelVisitor } from './visitors/model-visitor';
import type { ByteWindow } from './wire/byte-window';
import { Malformed } from './wire/malformed';
import { Walk } from './wire/walk';

const DAMAGED = 'The file may have been cut off or changed on its way: compare its SHA-256 with the original.';

/** One inspection: start, feed until it is over, then take the model or the refusal. */
export class OnnxScan {
  private readonly inspection: Inspection;
  private walk: Walk | undefined;
  private ended = false;

  constructor(
    private readonly window: ByteWindow,
    private readonly limits: OnnxLimits,
  ) {
    this.inspection = new Inspection(limits);
  }

  /** Refuses by size and by first bytes; `head` is the beginning of the file. */
  start(head: Uint8Array): void {
    const { faults } = this.inspection;
    const { size } = this.window;
    const foreign = foreignFormat(head);
    const hint = 'Save with external data: weights in a file beside the model.';
    if (size === 0) faults.add({ pointer: '', expected: 'an ONNX file', received: 'an empty file' });
    else if (foreign !== undefined) {
      faults.add({ pointer: '', expected: 'an ONNX file', received: foreign.name, hint: foreign.hint });
    } else if (size > this.limits.fileBytes) {
      faults.add({ pointer: '', expected: `at most ${this.limits.fileBytes} bytes`, received: `${size} bytes`, hint });
    } else {
      this.walk = new Walk(this.window, new ModelVisitor(this.inspection));
    }
  }

  /** Where reading goes on. */
  get position(): number {
    return this.walk?.position ?? 0;
  }

  /** Goes on until the window has to move; says how many bytes from `position` on it needs, 0 when it is over. */
  advance(): number {
    if (this.walk === undefined || this.ended) return 0;
    try {
      const missing = this.walk.advance();
      if (missing > 0) return missing;
      this.ended = true;
      this.conclude();
      return 0;
    } catch (error) {
      this.ended = true;
      if (error instanceof Malformed) this.refuseDamaged(error, this.walk);
      else if (!(error instanceof LimitPassed)) throw error;
      return 0;
    }
  }

  /** What the model needs beside its own file. */
  get externalFiles(): ModelFacts['externalFiles'] {
    return this.inspection.facts.externalFiles;
  }

  get faults(): Inspection['faults'] {
    return this.inspection.faults;
  }

  /** The model, or every reason against it in one error. */
  finish(): OnnxModel {
    if (this.faults.isEmpty) return toOnnxModel(this.inspection);
    throw refusal(this.faults.list());
  }

  /** The checks that need the whole file. */
  private conclude(): void {
    const { facts, faults } = this.inspection;
    if (!facts.hasGraph) {
      const received = 'data without a graph';
      faults.add({ pointer: '', expected: 'an ONNX file', received, hint: 'Other protobuf files look like this.' });
      return;
    }
    if (facts.irVersion === undefined || facts.irVersion < 1) {
      faults.add({
        pointer: '/ir_version',
        expected: 'a version of 1 or more',
        received: `${facts.irVersion ?? 'none'}`,
      });
    }
    if (facts.opsets.length === 0) {
      faults.add({ pointer: '/opset_import', expected: 'at least one operator set', received: 'none' });
    }
    if (facts.outputs.length === 0) {
      faults.add({ pointer: '/graph/output', expected: 'at least one output', received: 'none' });
    }
    const inputs = facts.inputs.filter(({ name }) => !facts.initializers.has(name));
    checkValues(inputs, this.inspection);
    checkValues(facts.outputs, this.inspection);
    checkDomains(this.inspection);
    checkFunctions(this.inspection);
    checkSizes(this.inspection);
  }

  private refuseDamaged(error: Malformed, walk: Walk): void {
    this.faults.add({
      pointer: walk.visitor?.pointer ?? '',
      expected: 'an ONNX file that can be read to its end',
      received: `${error.message} (byte ${error.position} of ${this.window.size})`,
      hint: DAMAGED,
    });
  }
}
