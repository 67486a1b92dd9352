import { Controller, Get } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { Endpoint } from '../http/endpoint.decorator';
import { SERVER_VERSION } from './server-version';

@ApiTags('Server')
@Controller()
export class MetaController {
  @Get()
  @Endpoint({
    summary: 'Say what this server is and where its documentation lies',
    access: 'public',
    action: 'server.index',
    answer: 'Index',
  })
  index(): Record<string, unknown> {
    return {
      name: 'sibyl',
      docs: '/docs',
      reference: '/redoc',
      openapi: '/openapi.json',
      health: '/health',
      ready: '/ready',
    };
  }

  @Get('info')
  @Endpoint({
    summary: 'Show versions and protocols of this server',
    access: 'any key',
    action: 'server.info',
    answer: 'Info',
  })
  info(): Record<string, unknown> {
    return {
      name: 'sibyl',
      version: SERVER_VERSION,
      node: process.version,
      protocols: ['rest'],
      uptime_seconds: Math.round(process.uptime()),
    };
  }
}
