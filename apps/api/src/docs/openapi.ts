import { Injectable, type INestApplicationContext, type INestApplication } from '@nestjs/common';
import { DocumentBuilder, SwaggerModule, type OpenAPIObject } from '@nestjs/swagger';
import { invariant } from '@sibyl/kernel';
import { SERVER_VERSION } from '../meta/server-version';
import { finishDocument, type DocumentPart } from './finish-document';
import { ALL_SCHEMAS } from './all-schemas';

/** The OpenAPI document of the running server: made when first asked for, because the start does not wait for it. */
@Injectable()
export class OpenApi {
  private source: (() => OpenAPIObject) | undefined;
  private document: OpenAPIObject | undefined;

  /** Tells where the routes are. `extra` holds those that are no controllers. */
  describe(app: INestApplicationContext, extra: DocumentPart): void {
    this.source = () => openApiDocument(app as INestApplication, extra);
  }

  read(): OpenAPIObject {
    invariant(this.source, 'the composition root describes its application');
    this.document ??= this.source();
    return this.document;
  }
}

const DESCRIPTION = `Sibyl serves machine-learning models and keeps an account of every prediction.

Send a key as \`X-API-Key\`, as a bearer token or as the password of Basic authentication. Errors are \`application/problem+json\`;
[/docs/errors](/docs/errors) explains each code.`;

/** Collects the routes of all controllers and completes what decorators cannot say. */
export function openApiDocument(app: INestApplication, extra: DocumentPart): OpenAPIObject {
  const config = new DocumentBuilder()
    .setOpenAPIVersion('3.1.0')
    .setTitle('Sibyl')
    .setVersion(SERVER_VERSION)
    .setDescription(DESCRIPTION)
    .setLicense('Proprietary', 'https://sibyl.example/license')
    .addServer('/')
    .addApiKey({ type: 'apiKey', in: 'header', name: 'X-API-Key' }, 'key')
    .addBearerAuth({ type: 'http', scheme: 'bearer' }, 'bearer')
    .addBasicAuth({ type: 'http', scheme: 'basic' }, 'basic')
    .build();
  return finishDocument(SwaggerModule.createDocument(app, config), {
    ...extra,
    schemas: { ...ALL_SCHEMAS, ...extra.schemas },
  });
}
