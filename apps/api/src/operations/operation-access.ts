import { Injectable } from '@nestjs/common';
import type { Principal } from '@sibyl/auth';
import type { Operation } from './operation';
import { Operations } from './operations';

/** Who may see and end an operation: the key that began it, or one with `ops:read`, as the contract has it. */
@Injectable()
export class OperationAccess {
  constructor(private readonly operations: Operations) {}

  find(caller: Principal, id: string): Operation {
    return this.operations.find(id, caller.keyId, caller.scopes.includes('ops:read'));
  }

  cancel(caller: Principal, id: string): Operation {
    return this.operations.cancel(id, caller.keyId, caller.scopes.includes('ops:read'));
  }
}
