import { DomainError, nearestWords, type ErrorCode, type FieldFault } from '@sibyl/kernel';

const FAULTS_MAX = 64;

/** RFC 6901: a member of an object behind a pointer. */
export function pointerTo(pointer: string, name: string): string {
  // Names rarely have either character, and looking costs less than replacing.
  if (!name.includes('~') && !name.includes('/')) return `${pointer}/${name}`;
  return `${pointer}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`;
}

/** Collects what is wrong with one request, so that the caller learns all of it at once. */
export class RequestFaults {
  private readonly faults: FieldFault[] = [];
  private code: ErrorCode | undefined;
  private detail = '';

  get none(): boolean {
    return this.code === undefined;
  }

  add(code: ErrorCode, detail: string, fault: FieldFault): void {
    // Faults of one kind are listed together; the first kind gives the code.
    if (this.code === undefined) {
      this.code = code;
      this.detail = detail;
    } else if (this.code !== code && code === 'unknown_field') {
      this.code = code;
      this.detail = detail;
    }
    if (this.faults.length < FAULTS_MAX) this.faults.push(fault);
  }

  unknown(pointer: string, name: string, known: Iterable<string>): void {
    const [near] = nearestWords(name, known);
    this.add('unknown_field', `Unknown field '${shown(name)}'.${near ? ` Did you mean '${near}'?` : ''}`, {
      pointer: pointerTo(pointer, shown(name)),
      ...(near ? { hint: `nearest known field: ${near}` } : {}),
    });
  }

  error(): DomainError {
    return new DomainError(this.code ?? 'internal_error', this.detail, { faults: this.faults });
  }

  throwIfAny(): void {
    if (!this.none) throw this.error();
  }
}

/** A name from a request as an error may show it: bounded and in one line. */
function shown(name: string): string {
  const line = name.replace(/[^\x20-\x7e\u00a0-\ud7ff\ue000-\ufffd]/g, '?');
  return line.length > 100 ? `${line.slice(0, 100)}…` : line;
}
