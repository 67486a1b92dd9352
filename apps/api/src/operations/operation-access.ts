import { Injectable } from '@nestjs/common';
import type { Principal } from '@sibyl/auth';
import { DomainError } from '@sibyl/kernel';
import { Siblings } from '../workers/siblings';
import { toOperationView } from './operation.view';
import { OperationRecords } from './operation-records';
import { Operations } from './operations';

/** How long workers that may run an operation are waited for. */
const ASK_MS = 1_000;

/** Which operation is wanted, and by whom. */
interface Wanted {
  readonly id: string;
  readonly keyId: string;
  readonly seesAll: boolean;
}

type View = Record<string, unknown>;

/**
 * Who may see and end an operation: the key that began it, or one with `ops:read`, as the contract has it. It may run in another
 * worker than the one that is asked.
 */
@Injectable()
export class OperationAccess {
  constructor(
    private readonly operations: Operations,
    private readonly siblings: Siblings,
    private readonly records: OperationRecords,
  ) {
    siblings.onAsked('operation', (wanted: Wanted) => Promise.resolve(this.here('find', wanted)));
    siblings.onAsked('cancel', (wanted: Wanted) => Promise.resolve(this.here('cancel', wanted)));
  }

  find(caller: Principal, id: string): Promise<View> {
    return this.anywhere('find', 'operation', wantedBy(caller, id));
  }

  cancel(caller: Principal, id: string): Promise<View> {
    return this.anywhere('cancel', 'cancel', wantedBy(caller, id));
  }

  private async anywhere(act: 'find' | 'cancel', question: 'operation' | 'cancel', wanted: Wanted): Promise<View> {
    const here = this.here(act, wanted);
    if (here !== undefined) return here;
    for (const { value } of await this.siblings.ask(question, wanted, ASK_MS))
      if (value !== undefined) return value as View;
    const kept = await this.records.find(wanted.id);
    // One that has ended cannot be cancelled any more: it stays as it is.
    if (kept && (wanted.seesAll || kept.keyId === wanted.keyId)) return toOperationView(kept);
    throw new DomainError('operation_not_found', 'There is no operation with this id.');
  }

  private here(act: 'find' | 'cancel', { id, keyId, seesAll }: Wanted): View | undefined {
    try {
      return toOperationView(this.operations[act](id, keyId, seesAll));
    } catch (error) {
      if (error instanceof DomainError && error.code === 'operation_not_found') return undefined;
      throw error;
    }
  }
}

function wantedBy({ keyId, scopes }: Principal, id: string): Wanted {
  return { id, keyId, seesAll: scopes.includes('ops:read') };
}
