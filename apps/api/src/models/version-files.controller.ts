import { Body, Controller, Delete, Get, Param, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { RecordChange } from '@sibyl/audit';
import type { Principal } from '@sibyl/auth';
import { ModelRegistry, VERSION_FILE_TYPE } from '@sibyl/registry';
import type { Response } from 'express';
import { Caller } from '../http/caller.decorator';
import { Endpoint } from '../http/endpoint.decorator';
import { Recorded } from '../http/record-change';
import { DeleteVersionBody } from './model.dto';
import { toVersionView } from './model.view';
import { VersionExports } from './version-exports';

@ApiTags('Model versions')
@Controller('v1/models')
export class VersionFilesController {
  constructor(
    private readonly registry: ModelRegistry,
    private readonly exports: VersionExports,
  ) {}

  @Get(':name/versions/:version/export')
  @Endpoint({
    summary: 'Take a version out as one file with its whole record',
    description:
      'Files, report, alias history, and the events of the audit log by their hashes, docs/formats/sibyl.md. `Repr-Digest` is not sent: the file carries the digest of each of its parts. The event names the SHA-256 of the record, `X-Record-Sha256`.',
    access: 'models:write',
    action: 'model.export',
    model: 'name',
    answer: { mediaType: VERSION_FILE_TYPE },
    errors: [
      'model_not_found',
      'version_not_found',
      'version_not_servable',
      'model_rejected',
      'model_not_ready',
      'queue_full',
      'database_unavailable',
    ],
  })
  async export(
    @Caller() caller: Principal,
    @Param('name') model: string,
    @Param('version') version: string,
    @Recorded() record: RecordChange,
    @Res() response: Response,
  ): Promise<void> {
    await this.exports.send(caller.actor, { model, version }, record, response);
  }

  @Delete(':name/versions/:version')
  @Endpoint({
    summary: 'Delete the bytes of a version that nobody needs',
    description:
      'Refused while an alias points at it, a rollback leads to it, `keep_warm` of the policy keeps it, or it has answered within SIBYL_KEEP_PREDICTED_DAYS. The version becomes `archived`; its digest, report and history stay for ever, and the same bytes may be sent again.',
    access: 'models:promote',
    action: 'model.delete',
    model: 'name',
    body: 'json',
    request: { reason: 'never went beyond staging' },
    answer: 'ModelVersion',
    errors: ['model_not_found', 'version_not_found', 'in_use', 'database_unavailable'],
  })
  async delete(
    @Caller() caller: Principal,
    @Param('name') model: string,
    @Param('version') version: string,
    @Body() body: DeleteVersionBody,
    @Recorded() record: RecordChange,
  ): Promise<Record<string, unknown>> {
    const { reason = 'deleted on request' } = body;
    return toVersionView(await this.registry.delete(caller.actor, { model, version, reason }, record));
  }
}
