import { Controller, Get, Param, Query } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { AuditLog, type AuditEvent, type EventPage } from '@sibyl/audit';
import { Endpoint } from '../http/endpoint.decorator';
import { EventListQuery } from './audit.dto';
import { toEventFilter, toPageRequest } from './audit.view';
import { KnownEvents } from './known-events';

@ApiTags('Audit')
@Controller('v1/audit/events')
export class AuditController {
  constructor(
    private readonly log: AuditLog,
    private readonly events: KnownEvents,
  ) {}

  @Get()
  @Endpoint({
    summary: 'Search the audit log',
    description: 'Complete up to this request. Pages stay as they were while new events arrive.',
    access: 'audit:read',
    action: 'audit.query',
    answer: 'AuditEventList',
    errors: ['invalid_parameter', 'unknown_field', 'database_unavailable'],
  })
  list(@Query() query: EventListQuery): Promise<EventPage> {
    return this.log.list(toEventFilter(query), toPageRequest(query));
  }

  @Get(':id')
  @Endpoint({
    summary: 'Show an event exactly as it was hashed',
    access: 'audit:read',
    action: 'audit.query',
    resource: ['event', 'id'],
    answer: 'AuditEvent',
    errors: ['event_not_found', 'database_unavailable'],
  })
  find(@Param('id') id: string): Promise<AuditEvent> {
    return this.events.find(id);
  }
}
