import { NestFactory } from '@nestjs/core';
import { PREDICT_SCHEMAS } from '../predict/predict.schemas';
import { envExample, settingsPage } from '../settings/settings-page';
import { DocumentedModule } from './documented.module';
import { errorsMarkdown } from './errors-page';
import { openApiDocument } from './openapi';

/** Files of the repository that are made from the code, by their path. */
export async function generatedFiles(): Promise<Record<string, string>> {
  // Routes are all that is looked at: a preview makes no controller and opens no database.
  const app = await NestFactory.create(DocumentedModule, { preview: true, logger: false, abortOnError: false });
  const document = openApiDocument(app, { paths: {}, schemas: PREDICT_SCHEMAS });
  return {
    '.env.example': envExample(),
    'docs/settings.md': settingsPage(),
    'docs/errors.md': errorsMarkdown(),
    'docs/openapi.json': `${JSON.stringify(document, undefined, 2)}\n`,
  };
}
