import { DomainError } from '@sibyl/kernel';
import { SignatureWatch, type WatchParts } from './signature-watch';

type Table = WatchParts['reconciler']['table'];

/** A table with a loaded version and one that is not. */
function aTable(): Table {
  const version = (name: string, loaded: object | undefined): object => ({
    model: 'm',
    version: name,
    loaded,
    facts: { model: 'm', version: name },
  });
  const versions = new Map([
    ['1', version('1', {})],
    ['2', version('2', undefined)],
  ]);
  return { models: new Map([['m', { versions }]]) } as unknown as Table;
}

it('names what serves and would not load again, says so once, and takes it back', async () => {
  const said: string[] = [];
  const refused = new DomainError('version_not_servable', 'untrusted');
  let answer: DomainError | undefined;
  const asked: string[] = [];
  const watch = new SignatureWatch({
    reconciler: { table: aTable() },
    registry: {
      checkSignature: ({ version }) => {
        asked.push(version);
        return answer ? Promise.reject(answer) : Promise.resolve();
      },
      trustedKeyProblems: () => Promise.resolve(['keys/x.pem: not one public key in PEM']),
    },
    log: { warn: (_, message) => said.push(message), info: (_, message) => said.push(message) },
  });
  await watch.look();
  expect(watch.untrusted()).toEqual([]);
  answer = refused;
  await watch.look();
  await watch.look();
  expect(watch.untrusted()).toEqual([{ model: 'm', version: '1' }]);
  answer = new DomainError('database_unavailable', 'down');
  await watch.look();
  expect(watch.untrusted()).toHaveLength(1);
  answer = undefined;
  await watch.look();
  expect(watch.untrusted()).toEqual([]);
  expect(asked).toEqual(['1', '1', '1', '1', '1']);
  expect(said).toEqual([
    'of SIBYL_TRUSTED_KEYS something cannot be read and is not trusted',
    'the signature of what serves is trusted no more; it would not load again',
    'the signature of what serves is trusted again',
  ]);
});
