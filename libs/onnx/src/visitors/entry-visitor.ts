import { isUtf8 } from 'node:buffer';
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

  override bytes(field: string, _length: number, content: Buffer | undefined): void {
    if (field === 'key') this.key = this.text(field, content);
    else {
      this.value = content?.toString('utf8');
      if (content !== undefined && !isUtf8(content)) this.refuseText(field);
    }
  }

  override close(): void {
    this.options.done(this.key, this.value);
  }
}
