import { Injectable } from '@nestjs/common';
import { AuditLog, type AuditEvent } from '@sibyl/audit';
import { DomainError } from '@sibyl/kernel';

/** Events by id, where the absence of one is an error. */
@Injectable()
export class KnownEvents {
  constructor(private readonly log: AuditLog) {}

  async find(id: string): Promise<AuditEvent> {
    const event = await this.log.find(id);
    if (event === undefined) throw new DomainError('event_not_found', 'There is no event with this id.');
    return event;
  }
}
