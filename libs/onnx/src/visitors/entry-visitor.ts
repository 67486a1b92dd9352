import type { FieldContent } from '../wire/field-content';
import type { Inspection } from '../inspection';
import { MessageVisitor, type Place } from './message-visitor';

interface EntryOptions {
  /** Values longer than this come as undefined. */
  readonly valueBytes: number;
  readonly done: (key: string, value: string | undefined) => void;
}

/** A key with its value: metadata, and where external data lies. */
export class EntryVisitor extends MessageVisitor {
  private key = '';
  private value: string | undefined = '';

  constructor(
    inspection: Inspection,
    place: Place,
    private readonly options: EntryOptions,
  ) {
    super(inspection, 'StringStringEntryProto', place);
  }

  override wanted(field: string): number {
    return field === 'value' ? this.options.valueBytes : this.inspection.limits.nameBytes;
  }

  override bytes(field: string, _length: number, content: FieldContent | undefined): void {
    if (field === 'key') this.key = this.text(field, content);
    else {
      this.value = content?.text();
      if (this.value !== undefined && content?.says(this.value) === false) this.refuseText(field);
    }
  }

  override close(): void {
    this.options.done(this.key, this.value);
  }
}
