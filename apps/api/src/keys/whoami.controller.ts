import { Controller, Get } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { Principal } from '@sibyl/auth';
import { Caller } from '../http/caller.decorator';
import { Endpoint } from '../http/endpoint.decorator';
import { toWhoamiView } from './key.view';

@ApiTags('Keys')
@Controller('v1/whoami')
export class WhoamiController {
  @Get()
  @Endpoint({
    summary: 'Show the key of this request and what it may do',
    access: 'any key',
    action: 'key.whoami',
    answer: 'Whoami',
  })
  whoami(@Caller() caller: Principal): Record<string, unknown> {
    return toWhoamiView(caller);
  }
}
