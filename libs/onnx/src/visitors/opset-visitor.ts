import type { FieldContent } from '../wire/field-content';
import { quote } from '../fault-list';
import type { Inspection } from '../inspection';
import { plainDomain } from '../operators';
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

  override bytes(field: string, _length: number, content: FieldContent | undefined): void {
    this.domain = this.text(field, content);
  }

  override close(): void {
    const { facts, limits } = this.inspection;
    if (facts.opsets.length >= limits.opsets) {
      this.inspection.stopAtLimit(`at most ${limits.opsets} operator sets`, `more than ${limits.opsets}`);
    }
    // Exporters write the same line twice; of two versions the runtime takes the last, other readers the first.
    const other = facts.opsets.find(({ domain }) => plainDomain(domain) === plainDomain(this.domain));
    if (other !== undefined && other.version !== this.version) {
      this.inspection.faults.add({
        pointer: this.pointer,
        expected: 'each operator set in one version',
        received: `versions ${other.version} and ${this.version} of ${quote(this.domain)}`,
      });
    }
    this.inspection.retain(this.domain.length);
    facts.opsets.push({ domain: this.domain, version: this.version });
  }
}
