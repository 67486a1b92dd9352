import { Controller, Get, Param, Res, type StreamableFile } from '@nestjs/common';
import { ApiTags, type OpenAPIObject } from '@nestjs/swagger';
import type { Response } from 'express';
import { Endpoint } from '../http/endpoint.decorator';
import { HttpOptions } from '../http/http-options';
import { securityHeaders } from '../http/security-headers';
import { DocsFiles, REDOC_PAGE, SWAGGER_PAGE } from './docs-files';
import { errorsHtml } from './errors-page';
import { OpenApi } from './openapi';

const HTML = 'text/html; charset=utf-8';
/** Files of packages change with an upgrade of the server only. */
const FOR_AN_HOUR = 'public, max-age=3600';

@ApiTags('Documentation')
@Controller()
export class DocsController {
  constructor(
    private readonly openApi: OpenApi,
    private readonly files: DocsFiles,
    private readonly options: HttpOptions,
  ) {}

  @Get('openapi.json')
  @Endpoint({ summary: 'This description', access: 'public', action: 'docs.read', answer: 'OpenApiDocument' })
  document(): OpenAPIObject {
    return this.openApi.read();
  }

  @Get('docs')
  @Endpoint({ summary: 'Swagger UI', access: 'public', action: 'docs.read', answer: { mediaType: 'text/html' } })
  swagger(@Res({ passthrough: true }) response: Response): string {
    response.set({ ...securityHeaders('page', this.options.strictTransport), 'Content-Type': HTML });
    return SWAGGER_PAGE;
  }

  @Get('docs/errors')
  @Endpoint({
    summary: 'What each error code means',
    access: 'public',
    action: 'docs.read',
    answer: { mediaType: 'text/html' },
  })
  errors(@Res({ passthrough: true }) response: Response): string {
    response.set({ ...securityHeaders('page', this.options.strictTransport), 'Content-Type': HTML });
    return errorsHtml();
  }

  @Get('docs/:file')
  @Endpoint({
    summary: 'Files of the documentation pages',
    access: 'public',
    action: 'docs.read',
    answer: { mediaType: '*/*' },
    errors: ['route_not_found'],
  })
  file(@Param('file') name: string, @Res({ passthrough: true }) response: Response): StreamableFile {
    const file = this.files.open(name);
    response.set('Cache-Control', FOR_AN_HOUR);
    return file;
  }

  @Get('redoc')
  @Endpoint({ summary: 'ReDoc', access: 'public', action: 'docs.read', answer: { mediaType: 'text/html' } })
  redoc(@Res({ passthrough: true }) response: Response): string {
    response.set({ ...securityHeaders('redoc', this.options.strictTransport), 'Content-Type': HTML });
    return REDOC_PAGE;
  }
}
