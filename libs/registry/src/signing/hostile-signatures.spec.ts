import type { DomainError } from '@sibyl/kernel';
import { verifyPackage } from './package-signature';
import { bundleOf, packageFiles, rootOf, statementOf, testKey } from './testing/hand-signed';

const FILES = packageFiles({ 'model.onnx': 'm', 'sibyl.json': '{}' });
const { secret, trusted } = testKey();
type Bundle = ReturnType<typeof bundleOf>;
type Statement = ReturnType<typeof statementOf>;

function refusal(signature: string | Buffer): DomainError {
  try {
    verifyPackage(
      { signature: Buffer.from(signature), files: FILES, unsignedFiles: [] },
      { keys: [trusted], nowMs: 0, filesMax: 10 },
    );
  } catch (error) {
    return error as DomainError;
  }
  throw new Error('it was accepted');
}

const honest = (): Bundle => bundleOf(JSON.stringify(statementOf(FILES)), secret);
const envelopeOf = (bundle: Bundle): Record<string, unknown> => bundle.dsseEnvelope;
const materialOf = (bundle: Bundle): Record<string, unknown> =>
  bundle['verificationMaterial'] as Record<string, unknown>;
const signaturesOf = (bundle: Bundle): Record<string, unknown>[] =>
  envelopeOf(bundle)['signatures'] as Record<string, unknown>[];

/** What stands in the way of a base64 text, one character each time. */
const urlSafe = (text: unknown): string => `${String(text).slice(0, -4)}-_==`;

it('the bundle that the cases below spoil is a good one', () => {
  expect(() => refusal(JSON.stringify(honest()))).toThrow('it was accepted');
});

describe('a hostile bundle is refused with its place', () => {
  const cases: readonly [string, string, (bundle: Bundle) => unknown][] = [
    [
      'another media type',
      '/mediaType',
      (b) => (b['mediaType'] = 'application/vnd.dev.sigstore.bundle+json;version=0.1'),
    ],
    ['no media type', '/mediaType', (b) => delete b['mediaType']],
    ['another payload type', '/dsseEnvelope/payloadType', (b) => (envelopeOf(b)['payloadType'] = 'application/json')],
    ['a message signature beside the envelope', '', (b) => (b['messageSignature'] = { signature: 'AA==' })],
    ['no envelope', '/dsseEnvelope', (b) => delete (b as Record<string, unknown>)['dsseEnvelope']],
    ['an envelope that is a list', '/dsseEnvelope', (b) => ((b as Record<string, unknown>)['dsseEnvelope'] = [])],
    ['a certificate', '/verificationMaterial', (b) => (materialOf(b)['certificate'] = { rawBytes: 'AA==' })],
    ['no key', '/verificationMaterial/publicKey', (b) => delete materialOf(b)['publicKey']],
    ['no hint', '/verificationMaterial/publicKey/hint', (b) => (materialOf(b)['publicKey'] = {})],
    [
      'a hint in capitals',
      '/verificationMaterial/publicKey/hint',
      (b) => (materialOf(b)['publicKey'] = { hint: trusted.fingerprint.slice(7).toUpperCase() }),
    ],
    ['a key of its own', '/verificationMaterial/publicKey', (b) => (materialOf(b)['publicKey'] = { rawBytes: 'AA==' })],
    [
      'log entries that nobody checks',
      '/verificationMaterial/tlogEntries',
      (b) => (materialOf(b)['tlogEntries'] = [{}]),
    ],
    ['no signature', '/dsseEnvelope/signatures', (b) => (envelopeOf(b)['signatures'] = [])],
    ['two signatures', '/dsseEnvelope/signatures', (b) => signaturesOf(b).push({ ...signaturesOf(b)[0] })],
    ['a signature that is text', '/dsseEnvelope/signatures', (b) => (envelopeOf(b)['signatures'] = ['MEUCIQ=='])],
    ['a key id', '/dsseEnvelope/signatures/0/keyid', (b) => ((signaturesOf(b)[0] ?? {})['keyid'] = 'bob')],
    [
      'an endless signature',
      '/dsseEnvelope/signatures/0/sig',
      (b) => ((signaturesOf(b)[0] ?? {})['sig'] = 'A'.repeat(2000)),
    ],
    ['an empty signature', '/dsseEnvelope/signatures/0/sig', (b) => ((signaturesOf(b)[0] ?? {})['sig'] = '')],
    [
      'a signature that is no DER',
      '/dsseEnvelope/signatures/0/sig',
      (b) => ((signaturesOf(b)[0] ?? {})['sig'] = Buffer.from('nothing of the kind').toString('base64')),
    ],
    ['base64 for URLs', '/dsseEnvelope/payload', (b) => (envelopeOf(b)['payload'] = urlSafe(envelopeOf(b)['payload']))],
    [
      'base64 with a line break',
      '/dsseEnvelope/payload',
      (b) => (envelopeOf(b)['payload'] = `${String(envelopeOf(b)['payload'])}\n`),
    ],
    ['base64 without padding', '/dsseEnvelope/payload', (b) => (envelopeOf(b)['payload'] = 'e30')],
    ['base64 with stray bits', '/dsseEnvelope/payload', (b) => (envelopeOf(b)['payload'] = 'e31=')],
    ['a payload that is no text', '/dsseEnvelope/payload', (b) => (envelopeOf(b)['payload'] = 7)],
  ];
  it.each(cases)('%s', (_, at, spoil) => {
    const bundle = honest();
    spoil(bundle);
    const error = refusal(JSON.stringify(bundle));
    expect(error.code).toBe('model_rejected');
    expect(error.faults?.[0]?.pointer).toBe(`/model.sig${at}`);
  });

  it.each([
    ['nothing', '', 'not valid JSON'],
    ['half a bundle', '{"mediaType":', 'not valid JSON'],
    ['a list', '[]', 'not a JSON object'],
    ['deep nesting', '{"a":'.repeat(5000), 'nested deeper than'],
    ['bytes that are no text', Buffer.from([0x7b, 0xff, 0x7d]), 'not valid UTF-8'],
  ])('%s', (_, text, received) => {
    const error = refusal(text);
    expect(error.code).toBe('model_rejected');
    expect(error.faults?.[0]?.received).toContain(received);
  });

  it.each([
    ['plain', '"mediaType":"application/json",'],
    ['escaped', '"media\\u0054ype":"application/json",'],
  ])('a member twice, %s', (_, member) => {
    const error = refusal(JSON.stringify(honest()).replace('{', `{${member}`));
    expect(error.faults?.[0]?.received).toBe("'mediaType' twice in one object");
  });
});

describe('a hostile statement is refused with its place, though a trusted key signed it', () => {
  const resourcesOf = (statement: Statement): Statement['predicate']['resources'] => statement.predicate.resources;
  const serialization = (statement: Statement, members: object): void => {
    Object.assign((statement.predicate as Record<string, unknown>)['serialization'] as object, members);
  };
  const name =
    (text: unknown) =>
    (statement: Statement): unknown =>
      resourcesOf(statement).unshift({ name: text, algorithm: 'sha256', digest: '0'.repeat(64) });
  const first = '/predicate/resources/0';
  const cases: readonly [string, string, (statement: Statement) => unknown][] = [
    ['another type', '/_type', (s) => (s['_type'] = 'https://in-toto.io/Statement/v0.1')],
    [
      'the predicate of earlier tools',
      '/predicateType',
      (s) => (s['predicateType'] = 'https://model_signing/Digests/v0.1'),
    ],
    ['two subjects', '/subject', (s) => (s['subject'] as unknown[]).push({})],
    ['no subject', '/subject', (s) => delete s['subject']],
    ['a subject without a digest', '/subject/0/digest', (s) => (s['subject'] = [{ name: 'm' }])],
    ['no predicate', '/predicate', (s) => delete (s as Record<string, unknown>)['predicate']],
    ['shards', '/predicate/serialization/method', (s) => serialization(s, { method: 'shards', shard_size: 10 })],
    ['another hash', '/predicate/serialization/hash_type', (s) => serialization(s, { hash_type: 'blake2b' })],
    [
      'ignored paths that are numbers',
      '/predicate/serialization/ignore_paths',
      (s) => serialization(s, { ignore_paths: [7] }),
    ],
    [
      'another algorithm for one file',
      `${first}/algorithm`,
      (s) => Object.assign(resourcesOf(s)[0] ?? {}, { algorithm: 'md5' }),
    ],
    ['a short digest', `${first}/digest`, (s) => Object.assign(resourcesOf(s)[0] ?? {}, { digest: 'ab' })],
    [
      'a digest in capitals',
      `${first}/digest`,
      (s) => Object.assign(resourcesOf(s)[0] ?? {}, { digest: 'A'.repeat(64) }),
    ],
    ['a resource that is text', first, (s) => (resourcesOf(s) as unknown[]).unshift('model.onnx')],
    ['a path upwards', `${first}/name`, name('../model.onnx')],
    ['a path in the middle upwards', `${first}/name`, name('a/../../model.onnx')],
    ['an absolute path', `${first}/name`, name('/etc/passwd')],
    ['a backslash', `${first}/name`, name('..\\model.onnx')],
    ['an empty segment', `${first}/name`, name('a//b')],
    ['a dot', `${first}/name`, name('./model.onnx')],
    ['a zero byte', `${first}/name`, name('model.onnx\0.txt')],
    ['a name that is a number', `${first}/name`, name(1)],
    ['the signature itself', `${first}/name`, name('model.sig')],
    ['no file at all', '/predicate/resources', (s) => resourcesOf(s).splice(0)],
    [
      'more files than a package may have',
      '/predicate/resources',
      (s) => Array.from({ length: 20 }, (_, i) => name(`f${i}`)(s)),
    ],
    ['files that are no list', '/predicate/resources', (s) => Object.assign(s.predicate, { resources: { length: 2 } })],
  ];
  it.each(cases)('%s', (_, at, spoil) => {
    const statement = statementOf(FILES);
    spoil(statement);
    const error = refusal(JSON.stringify(bundleOf(JSON.stringify(statement), secret)));
    expect(error.code).toBe('model_rejected');
    expect(error.faults?.[0]?.pointer).toBe(`/model.sig/payload${at}`);
  });

  it('a file twice, although the list is consistent', () => {
    const statement = statementOf(FILES);
    const resources = resourcesOf(statement);
    resources.push({ name: 'model.onnx', algorithm: 'sha256', digest: '0'.repeat(64) });
    statement['subject'] = [{ name: 'm', digest: { sha256: rootOf(resources) } }];
    const error = refusal(JSON.stringify(bundleOf(JSON.stringify(statement), secret)));
    expect(error.faults?.[0]).toMatchObject({ received: "'model.onnx' twice" });
  });

  it('a subject whose digest is not that of the files', () => {
    const statement = statementOf(FILES);
    statement['subject'] = [{ name: 'm', digest: { sha256: '0'.repeat(64) } }];
    const error = refusal(JSON.stringify(bundleOf(JSON.stringify(statement), secret)));
    expect(error.faults?.[0]?.pointer).toBe('/model.sig/payload/subject/0/digest/sha256');
  });

  it('a member twice inside the payload', () => {
    const text = JSON.stringify(statementOf(FILES)).replace('{', '{"predicateType":"x",');
    const error = refusal(JSON.stringify(bundleOf(text, secret)));
    expect(error.faults?.[0]?.received).toBe("'predicateType' twice in one object");
  });

  it('paths that it ignores: they excuse no file of the package', () => {
    const statement = statementOf(FILES);
    serialization(statement, { ignore_paths: ['model.onnx', '.'] });
    statement.predicate.resources = resourcesOf(statement).filter((resource) => resource.name !== 'model.onnx');
    statement['subject'] = [{ name: 'm', digest: { sha256: rootOf(statement.predicate.resources) } }];
    const error = refusal(JSON.stringify(bundleOf(JSON.stringify(statement), secret)));
    expect(error.faults).toEqual([
      { pointer: '/model.onnx', expected: 'a file that was signed', received: 'a file that was not signed' },
    ]);
  });
});

it('a huge signature is read in one pass', () => {
  const bundle = honest();
  envelopeOf(bundle)['payload'] = Buffer.from(
    `{"${'\\"'.repeat(500_000)}":1,${'"a":[],'.repeat(200_000)}"b":1}`,
  ).toString('base64');
  expect(refusal(JSON.stringify(bundle)).code).toBe('model_rejected');
});
