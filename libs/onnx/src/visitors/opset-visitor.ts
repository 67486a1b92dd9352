import type { Inspection } from '../inspection';
import { MessageVisitor, type Place } from './message-visitor';

/** A set of operators that the model uses, with its version. */
export class OpsetVisitor extends MessageVisitor {
  private domain = '';
  private version = 0;

  constructor(inspection: Inspection, place: Place) {
    super(inspection, 'OperatorSetIdProto', place);
  }

  override wanted(): number {
    return this.inspection.limits.nameBytes;
  }

  override number(_field: string, value: number): void {
    this.version = value;
  }

  override bytes(field: string, _length: number, content: Buffer | undefined): void {
    this.domain = this.text(field, content);
  }

  override close(): void {
    const { facts, limits } = this.inspection;
    if (facts.opsets.length >= limits.opsets) {
      this.inspection.stopAtLimit(`at most ${limits.opsets} operator sets`, `more than ${limits.opsets}`);
    }
    this.inspection.retain(this.domain.length);
    facts.opsets.push({ domain: this.domain, version: this.version });
  }
}
