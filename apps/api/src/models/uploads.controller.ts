import { Controller, Delete, Get, Param, Put, Req, Res } from '@nestjs/common';
import { ApiBody, ApiConsumes, ApiTags } from '@nestjs/swagger';
import type { Principal } from '@sibyl/auth';
import type { Response } from 'express';
import { Caller } from '../http/caller.decorator';
import { Endpoint } from '../http/endpoint.decorator';
import type { ApiRequest } from '../http/request-context';
import { send } from '../operations/reply';
import { Uploads } from './uploads';

@ApiTags('Model versions')
@Controller('v1/models')
export class UploadsController {
  constructor(private readonly uploads: Uploads) {}

  @Get(':name/uploads/:sha256')
  @Endpoint({
    summary: 'Say what is there of a file, so that it need not be sent again',
    description:
      'HEAD answers the same in its headers: `Upload-Offset`, the next byte to send, and `Upload-Complete`, `?1` or `?0`. Known are files that were sent for this model, and those of versions whose bytes the key may take out.',
    access: 'models:write',
    action: 'model.read',
    model: 'name',
    answer: 'UploadState',
    errors: ['invalid_parameter', 'database_unavailable'],
  })
  async state(
    @Caller() caller: Principal,
    @Param('name') model: string,
    @Param('sha256') sha256: string,
    @Res({ passthrough: true }) response: Response,
  ): Promise<unknown> {
    return send(await this.uploads.state(caller, model, sha256), response);
  }

  @Put(':name/uploads/:sha256')
  @ApiConsumes('application/octet-stream')
  @ApiBody({ description: 'The bytes of the file, or the rest of them.', schema: {} })
  @Endpoint({
    summary: 'Send a file of a package, or the rest of it, under its SHA-256',
    description:
      'Without `Content-Range` the body is the whole file. Where it breaks off, what came stays for SIBYL_UPLOAD_HOURS. `POST /v1/models/{name}/versions` with `files` then registers a package out of such files.',
    access: 'models:write',
    action: 'model.upload',
    model: 'name',
    body: 'stream',
    headers: { 'Content-Range': '`bytes first-last/total`: from the byte that `Upload-Offset` names' },
    answer: 'UploadState',
    also: { 201: 'The file is whole' },
    errors: ['queue_full', 'storage_full', 'database_unavailable'],
  })
  async receive(
    @Caller() caller: Principal,
    @Param('name') model: string,
    @Param('sha256') sha256: string,
    @Req() request: ApiRequest,
    @Res({ passthrough: true }) response: Response,
  ): Promise<unknown> {
    return send(await this.uploads.receive(caller, model, sha256, request), response);
  }

  @Delete(':name/uploads/:sha256')
  @Endpoint({
    summary: 'Give back what was sent of a file, whole or in part',
    description:
      'Makes room in the share of the model. Refused while somebody sends the file; versions out of it keep their bytes. Once more, it changes nothing.',
    access: 'models:write',
    action: 'model.discard',
    model: 'name',
    answer: 'UploadState',
    errors: ['invalid_parameter', 'in_use'],
  })
  async giveBack(
    @Param('name') model: string,
    @Param('sha256') sha256: string,
    @Res({ passthrough: true }) response: Response,
  ): Promise<unknown> {
    return send(await this.uploads.giveBack(model, sha256), response);
  }
}
