import { Injectable, StreamableFile } from '@nestjs/common';
import { createReadStream } from 'node:fs';
import path from 'node:path';
import { DomainError } from '@sibyl/kernel';

interface DocsFile {
  readonly type: string;
  /** A file of an installed package, or the text itself. */
  readonly source: { readonly packageName: string; readonly file: string } | { readonly text: string };
}

const SCRIPT = 'text/javascript; charset=utf-8';

/** Everything below /docs, by name: a list, so that no path of a request ever becomes a path of the disk. */
const FILES: Readonly<Record<string, DocsFile>> = {
  'swagger-ui.css': {
    type: 'text/css; charset=utf-8',
    source: { packageName: 'swagger-ui-dist', file: 'swagger-ui.css' },
  },
  'swagger-ui-bundle.js': { type: SCRIPT, source: { packageName: 'swagger-ui-dist', file: 'swagger-ui-bundle.js' } },
  'favicon.png': { type: 'image/png', source: { packageName: 'swagger-ui-dist', file: 'favicon-32x32.png' } },
  'redoc.js': { type: SCRIPT, source: { packageName: 'redoc', file: 'bundles/redoc.standalone.js' } },
  // Scripts within a page are forbidden by its policy, so that the two lines that start each one are files too.
  'swagger-start.js': {
    type: SCRIPT,
    source: {
      text: "window.ui = SwaggerUIBundle({ url: '/openapi.json', dom_id: '#docs', deepLinking: true, validatorUrl: null });\n",
    },
  },
  'redoc-start.js': {
    type: SCRIPT,
    source: { text: "Redoc.init('/openapi.json', { disableSearch: false }, document.getElementById('docs'));\n" },
  },
};

/** Files of the documentation pages. */
@Injectable()
export class DocsFiles {
  open(name: string): StreamableFile {
    const file = Object.hasOwn(FILES, name) ? FILES[name] : undefined;
    if (file === undefined) throw new DomainError('route_not_found', 'The documentation has no such file.');
    const { source, type } = file;
    if ('text' in source) return new StreamableFile(Buffer.from(source.text), { type });
    const folder = path.dirname(require.resolve(`${source.packageName}/package.json`));
    return new StreamableFile(createReadStream(path.join(folder, source.file)), { type });
  }
}

/** Swagger UI; everything it loads comes from here. */
export const SWAGGER_PAGE = shell(
  'API',
  '<link rel="stylesheet" href="/docs/swagger-ui.css">',
  '<script src="/docs/swagger-ui-bundle.js"></script>\n<script src="/docs/swagger-start.js"></script>',
);

export const REDOC_PAGE = shell(
  'Reference',
  '',
  '<script src="/docs/redoc.js"></script>\n<script src="/docs/redoc-start.js"></script>',
);

function shell(title: string, head: string, scripts: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sibyl ${title}</title>
<link rel="icon" type="image/png" href="/docs/favicon.png">
${head}
</head>
<body>
<div id="docs"></div>
${scripts}
</body>
</html>
`;
}
