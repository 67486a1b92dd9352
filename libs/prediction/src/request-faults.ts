import { DomainError, nearestWords, type ErrorCode, type FieldFault } from '@sibyl/kernel';

const FAULTS_MAX = 64;
/** So many unknown names are compared with the known ones; a caller who has more wrong has read the documents of another model. */
const HINTS_MAX = 8;

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
  private hints = 0;

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

  /** Notes the names that are not among the known ones. A body may have millions of them: what none would see is not looked for. */
  unknown(pointer: string, names: readonly string[], known: ReadonlySet<string>): void {
    let found = 0;
    for (const name of names) {
      if (known.has(name)) continue;
      this.addUnknown(pointer, name, known);
      if (++found === FAULTS_MAX) return;
    }
  }

  private addUnknown(pointer: string, name: string, known: ReadonlySet<string>): void {
    const [near] = this.hints++ < HINTS_MAX ? nearestWords(name, known) : [];
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
  // Cut first: a name may be as long as the body.
  const line = name.slice(0, 101).replace(/[^\x20-\x7e\u00a0-\ud7ff\ue000-\ufffd]/g, '?');
  return line.length > 100 ? `${line.slice(0, 100)}…` : line;
}
