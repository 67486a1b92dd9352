import { Controller, Delete, Get, Param } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { Principal } from '@sibyl/auth';
import { Caller } from '../http/caller.decorator';
import { Endpoint } from '../http/endpoint.decorator';
import { OperationAccess } from './operation-access';

@ApiTags('Operations')
@Controller('v1/operations')
export class OperationsController {
  constructor(private readonly operations: OperationAccess) {}

  @Get(':id')
  @Endpoint({
    summary: 'Show an operation',
    description: 'For the key that began it; others need `ops:read`.',
    access: 'any key',
    action: 'operation.read',
    resource: ['operation', 'id'],
    answer: 'Operation',
    errors: ['operation_not_found'],
  })
  find(@Caller() caller: Principal, @Param('id') id: string): Promise<Record<string, unknown>> {
    return this.operations.find(caller, id);
  }

  @Delete(':id')
  @Endpoint({
    summary: 'Cancel an operation',
    description:
      'Asks the work to stop and answers with its present state: `cancelled` once it has stopped, `succeeded` where it was done before. ' +
      'For the key that began it; others need `ops:read`.',
    access: 'any key',
    action: 'operation.cancel',
    resource: ['operation', 'id'],
    answer: 'Operation',
    errors: ['operation_not_found'],
  })
  cancel(@Caller() caller: Principal, @Param('id') id: string): Promise<Record<string, unknown>> {
    return this.operations.cancel(caller, id);
  }
}
