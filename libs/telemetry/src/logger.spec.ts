import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { Writable } from 'node:stream';
import { DomainError } from '@sibyl/kernel';
import { createLogger } from './logger';
import { capturingLogger } from './testing';
import { TelemetryOptions } from './telemetry-options';
import { redact } from './redaction';

describe('a log line', () => {
  it('has a level by name, a time and a message', () => {
    const { log, lines } = capturingLogger();
    log.info({ model: 'momentum', loadMs: 12 }, 'model loaded');
    expect(lines).toEqual([
      {
        level: 'info',
        time: expect.stringMatching(/^\d{4}-.*Z$/),
        model: 'momentum',
        load_ms: 12,
        msg: 'model loaded',
      },
    ]);
  });

  it('keeps only fields that are allowed, and the names of the others', () => {
    const { log, lines } = capturingLogger();
    log.info({ requestId: 'r', authorization: 'Bearer abc', body: { features: [1] }, patient: 'Jane' }, 'x');
    expect(lines[0]).toMatchObject({ request_id: 'r', left_out: ['authorization', 'body', 'patient'] });
    expect(JSON.stringify(lines)).not.toMatch(/abc|Jane|features/);
  });

  it('leaves out no field that a line of this repository has', () => {
    const { log, lines } = capturingLogger();
    const seen = loggedFields();
    expect(seen.size).toBeGreaterThan(30);
    for (const name of seen) log.info({ [name]: 'x' }, 'x');
    expect(lines.flatMap((line) => line['left_out'] ?? [])).toEqual([]);
  });

  it('never shows an object, a key or a password, wherever it stands', () => {
    const { log, lines } = capturingLogger();
    log.error(
      {
        url: 'postgres://app:hunter2@db/x',
        reason: 'sk_abc123_secretsecret',
        model: { a: 1 },
        err: new Error('Bearer abcdefghijkl'),
      },
      'x',
    );
    expect(JSON.stringify(lines)).not.toMatch(/hunter2|secretsecret|abcdefghijkl/);
    expect(lines[0]).toMatchObject({ model: '[object]', url: 'postgres://[redacted]@db/x' });
  });

  it('is one line, whatever text it carries', () => {
    const written: string[] = [];
    const log = createLogger(new TelemetryOptions(), { write: (text) => void written.push(text) });
    log.info({ name: 'a\n{"level":"info","actor":"root"}\u2028\u001b[31m' }, 'x\ny');
    expect(written).toHaveLength(1);
    expect(written[0]?.trimEnd()).not.toContain('\n');
  });

  it('tells of an error what it is and of its causes, but no rows or statements', () => {
    const { log, lines } = capturingLogger();
    const cause = Object.assign(new Error('duplicate key'), {
      code: '23505',
      detail: 'Key (name)=(Jane)',
      query: 'INSERT …',
    });
    log.error({ err: new DomainError('database_unavailable', 'no database', { cause }) }, 'x');
    expect(lines[0]?.['error']).toMatchObject({
      code: 'database_unavailable',
      message: 'no database',
      cause: { code: '23505' },
    });
    expect(JSON.stringify(lines)).not.toMatch(/Jane|INSERT/);
  });

  it('follows causes only so far, and takes what is no error at all', () => {
    const { log, lines } = capturingLogger();
    let error = new Error('innermost');
    for (let depth = 0; depth < 20; depth++) error = new Error(`level ${depth}`, { cause: error });
    log.warn({ err: error }, 'deep');
    log.warn({ err: 'just text' }, 'text');
    expect(JSON.stringify(lines[0])).not.toContain('innermost');
    expect(lines[1]).toMatchObject({ error: { message: 'just text' } });
  });

  it('of numbers, lists and big integers is plain', () => {
    const { log, lines } = capturingLogger();
    log.info({ status: 5n, migrations: ['a', { b: 1 }], port: null, route: undefined }, 'x');
    expect(lines[0]).toMatchObject({ status: '5', migrations: ['a', '[object]'], port: null });
    expect(lines[0]).not.toHaveProperty('route');
  });

  it('is for people where that is asked for', () => {
    const written: string[] = [];
    const options = Object.assign(new TelemetryOptions(), { prettyLogs: true });
    const stream = new Writable({ write: (chunk, _encoding, done) => (written.push(String(chunk)), done()) });
    createLogger(options, stream).info({ model: 'momentum' }, 'model loaded');
    expect(written.join('')).toMatch(/INFO.*model loaded.*momentum/);
  });
});

describe('redaction', () => {
  it('cuts off what is too long for a line', () => expect(redact('x'.repeat(10_000)).length).toBeLessThan(4200));
  it('leaves ordinary text alone', () =>
    expect(redact('basic model sk_ http://host/path')).toBe('basic model sk_ http://host/path'));
});

/** Names of the fields that are written out where something is logged. */
function loggedFields(): Set<string> {
  const root = path.resolve(__dirname, '../../..');
  const sources = ['libs', 'apps']
    .flatMap((folder) =>
      readdirSync(path.join(root, folder), { recursive: true, encoding: 'utf8' }).map((name) =>
        path.join(root, folder, name),
      ),
    )
    .filter(
      (name) =>
        name.endsWith('.ts') && !name.endsWith('.spec.ts') && !/[/\\](node_modules|dist|testing)[/\\]/.test(name),
    );
  const names = new Set<string>();
  for (const source of sources)
    for (const [, fields = ''] of readFileSync(source, 'utf8').matchAll(
      /\blog\.(?:debug|info|warn|error)\(\s*\{([^{}]*)\}/g,
    ))
      for (const [, name = ''] of fields.matchAll(/(?:^|,)\s*(\w+)\s*(?=[:,]|$)/g)) names.add(name);
  return names;
}
