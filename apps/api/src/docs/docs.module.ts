import { Module } from '@nestjs/common';
import { DocsController } from './docs.controller';
import { DocsFiles } from './docs-files';
import { OpenApi } from './openapi';

@Module({ controllers: [DocsController], providers: [DocsFiles, OpenApi], exports: [OpenApi] })
export class DocsModule {}
