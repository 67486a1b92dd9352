import { ERROR_CODES, type ErrorCode, type ErrorSpec } from '@sibyl/kernel';
import { statusOf } from '../http/problem';

interface Row extends ErrorSpec {
  readonly code: ErrorCode;
  readonly status: number;
}

function rows(): Row[] {
  const all = Object.entries(ERROR_CODES).map(([code, spec]) => ({
    ...spec,
    code: code as ErrorCode,
    status: statusOf(code as ErrorCode),
  }));
  return all.sort((a, b) => a.status - b.status);
}

/** docs/errors.md, made from the table of error codes. */
export function errorsMarkdown(): string {
  const sections = rows().map(({ code, status, title, help }) => `## ${code}\n\n**${status}** ${title}. ${help}\n`);
  return `# Errors

Made by \`npm run generate\` from \`libs/kernel/src/error-codes.ts\`; a test compares both.

Every error is \`application/problem+json\` (RFC 9457) with \`type\`, \`title\`, \`status\`, \`code\`, \`detail\`, \`instance\` and
\`request_id\`, and where they help \`errors[]\` and \`retry_after\`. Branch on \`code\`: it never changes its meaning.

${sections.join('\n')}`;
}

/** The same as a page; `type` of every problem points at an anchor of it. */
export function errorsHtml(): string {
  const sections = rows().map(
    ({ code, status, title, help }) =>
      `<h2 id="${code}">${code}</h2>\n<p><strong>${status}</strong> ${html(title)}. ${html(help)}</p>`,
  );
  return page('Errors', `<h1>Errors</h1>\n${sections.join('\n')}`);
}

/** A page without scripts. */
function page(title: string, body: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${html(title)} - Sibyl</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:48rem;margin:2rem auto;padding:0 1rem}code{background:#eee;padding:0 .2em}</style>
</head>
<body>
${body}
</body>
</html>
`;
}

function html(text: string): string {
  const escaped = text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');
  return escaped.replace(/`([^`]+)`/g, '<code>$1</code>');
}
