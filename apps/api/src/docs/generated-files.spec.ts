import { readFileSync } from 'node:fs';
import path from 'node:path';
import { ERROR_CODES } from '@sibyl/kernel';
import { SERVER_VERSION } from '../meta/server-version';
import { SETTINGS } from '../settings/settings';
import { errorsHtml } from './errors-page';
import { generatedFiles } from './generated-files';

const root = path.resolve(__dirname, '../../../..');
const inRepository = (file: string): string => readFileSync(path.join(root, file), 'utf8');

interface Operation {
  readonly operationId: string;
  readonly summary?: string;
  readonly 'x-scope'?: string;
  readonly 'x-event'?: string;
  readonly security?: readonly object[];
  readonly parameters?: readonly { readonly in: string; readonly name: string; readonly schema: object }[];
  readonly responses: Record<string, unknown>;
}

describe('files that are made from the code', () => {
  let files: Record<string, string>;
  let operations: [string, Operation][];

  beforeAll(async () => {
    files = await generatedFiles();
    const document = JSON.parse(files['docs/openapi.json'] ?? '') as {
      paths: Record<string, Record<string, Operation>>;
    };
    operations = Object.entries(document.paths).flatMap(([route, methods]) =>
      Object.entries(methods).map(([method, operation]): [string, Operation] => [
        `${method.toUpperCase()} ${route}`,
        operation,
      ]),
    );
  });

  it.each(['.env.example', 'docs/settings.md', 'docs/errors.md', 'docs/openapi.json'])(
    '%s is what `npm run generate` writes',
    (file) => {
      expect(inRepository(file)).toBe(files[file]);
    },
  );

  it('.env.example and docs/settings.md name every setting', () => {
    for (const { name } of Object.values(SETTINGS)) {
      expect(files['.env.example']).toContain(`# ${name}=`);
      expect(files['docs/settings.md']).toContain(`\`${name}\``);
    }
  });

  it('the page of errors has an anchor for every code', () => {
    for (const code of Object.keys(ERROR_CODES)) expect(errorsHtml()).toContain(`<h2 id="${code}">`);
    expect(errorsHtml()).not.toContain('<script');
  });

  it('every operation says what it does, who may call it and how it fails', () => {
    for (const [, operation] of operations) {
      expect(operation.summary).toBeTruthy();
      expect(operation['x-scope']).toBeTruthy();
      expect(Object.keys(operation.responses).some((status) => status.startsWith('2'))).toBe(true);
      if (operation['x-scope'] !== 'public')
        expect(Object.keys(operation.responses)).toEqual(expect.arrayContaining(['401', '429', '503']));
    }
  });

  it('predict operations name their headers, and their values', () => {
    const predictions = operations.filter(([, operation]) => operation['x-event'] === 'prediction.create');
    expect(predictions).toHaveLength(7);
    for (const [, { parameters = [] }] of predictions) {
      expect(parameters.filter((parameter) => parameter.in === 'header')).toMatchObject([
        { name: 'X-Request-Priority', schema: { enum: ['interactive', 'bulk'] } },
        { name: 'X-Request-Timeout-Ms', schema: { type: 'integer', minimum: 1, maximum: 60_000 } },
      ]);
    }
  });

  it('public operations ask for no key, all others for one', () => {
    for (const [, operation] of operations) {
      expect(operation.security).toHaveLength(operation['x-scope'] === 'public' ? 0 : 3);
    }
  });

  it('operation ids are unique, because clients are generated from them', () => {
    const ids = operations.map(([, operation]) => operation.operationId);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('every schema that is named exists', () => {
    const text = files['docs/openapi.json'] ?? '';
    const document = JSON.parse(text) as { components: { schemas: object } };
    const named = new Set(Array.from(text.matchAll(/#\/components\/schemas\/(\w+)/g), ([, name]) => name));
    expect([...named].filter((name) => !Object.hasOwn(document.components.schemas, name ?? ''))).toEqual([]);
  });

  it('is a document of OpenAPI 3.1 with nothing of 3.0 left', () => {
    expect(JSON.parse(files['docs/openapi.json'] ?? '')).toMatchObject({
      openapi: '3.1.0',
      info: { version: SERVER_VERSION },
    });
    expect(files['docs/openapi.json']).not.toMatch(/"nullable": (true|false)/);
  });
});

describe('the version of the server', () => {
  it('is that of package.json', () => {
    expect((JSON.parse(inRepository('package.json')) as { version: string }).version).toBe(SERVER_VERSION);
  });
});
