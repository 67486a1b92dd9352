import { Controller, Delete, Get, Param, Req } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { Principal } from '@sibyl/auth';
import { TrainingSets } from '@sibyl/features';
import { Caller } from '../http/caller.decorator';
import { Endpoint } from '../http/endpoint.decorator';
import type { ApiRequest } from '../http/request-context';
import { OperationAccess } from './operation-access';
import { fileOf, withoutFile } from './operation.view';

@ApiTags('Operations')
@Controller('v1/operations')
export class OperationsController {
  constructor(
    private readonly operations: OperationAccess,
    private readonly sets: TrainingSets,
  ) {}

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
  async find(@Caller() caller: Principal, @Param('id') id: string): Promise<Record<string, unknown>> {
    return this.offered(await this.operations.find(caller, id));
  }

  @Delete(':id')
  @Endpoint({
    summary: 'Cancel an operation, or delete its file',
    description:
      'Asks the work to stop and answers with its present state: `cancelled` once it has stopped, `succeeded` where it was done before. ' +
      'The file of a training set that is finished is removed: `GET /v1/operations/{id}/result` is 404 from then on, and its room is free. ' +
      'For the key that began it; others need `ops:read`, and `ops:write` for the file to be removed.',
    access: 'any key',
    action: 'operation.cancel',
    resource: ['operation', 'id'],
    answer: 'Operation',
    errors: ['operation_not_found'],
  })
  async cancel(
    @Caller() caller: Principal,
    @Param('id') id: string,
    @Req() { context }: ApiRequest,
  ): Promise<Record<string, unknown>> {
    const operation = await this.operations.cancel(caller, id);
    const file = fileOf(operation);
    // Who may see and cancel what others began may not take away what they have.
    const may = file !== undefined && (caller.scopes.includes('ops:write') || this.sets.files.isOf(file, caller.keyId));
    if (may && (await this.sets.files.remove(file))) context.changes = { removed: file };
    return this.offered(operation);
  }

  /** As it stands, but for a file that was removed since. */
  private async offered(operation: Record<string, unknown>): Promise<Record<string, unknown>> {
    const file = fileOf(operation);
    return file === undefined || (await this.sets.files.has(file)) ? operation : withoutFile(operation);
  }
}
