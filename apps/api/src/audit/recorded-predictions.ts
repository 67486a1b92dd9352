import { Injectable } from '@nestjs/common';
import { AuditLog, type RecordedPrediction } from '@sibyl/audit';
import type { Principal } from '@sibyl/auth';
import { DomainError } from '@sibyl/kernel';

/** Predictions as they were recorded: one's own, or all with `audit:read`. */
@Injectable()
export class RecordedPredictions {
  constructor(private readonly log: AuditLog) {}

  /** Another key's prediction is as absent as one that never was. */
  async find(caller: Principal, id: string): Promise<RecordedPrediction> {
    const found = await this.log.prediction(id);
    const visible =
      found !== undefined && (found.event.actor.key_id === caller.keyId || caller.scopes.includes('audit:read'));
    if (!visible) throw new DomainError('prediction_not_found', 'There is no prediction with this id.');
    return found;
  }
}
