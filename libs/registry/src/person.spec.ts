import { OPERATOR, systemActor, type Actor } from '@sibyl/kernel';
import { samePerson } from './person';

const key = (id: string, more: Partial<Actor> = {}): Actor => ({ type: 'key', id, keyId: id, name: id, ...more });
const both = (a: Actor, b: Actor): boolean[] => [samePerson(a, b), samePerson(b, a)];

describe('two actors are one person', () => {
  it.each([
    ['with the same key, whatever it is called', key('1', { owner: 'Ann' }), key('1', { owner: 'Ben' })],
    ['with keys that stem from one', key('2', { owner: 'Ann', person: '1' }), key('3', { owner: 'Ben', person: '1' })],
    ['with a key and one that stems from it', key('1', { owner: 'Ann', person: '1' }), key('2', { person: '1' })],
    ['with a key from before persons were known and one that stems from it', key('1'), key('2', { person: '1' })],
    ['with owners that read alike', key('1', { owner: 'Ann', person: '1' }), key('2', { owner: ' ann', person: '2' })],
    ['with a name that is the owner of the other', key('Ann', { person: '1' }), key('2', { owner: 'ann' })],
    ['where the server did it, and the operator', systemActor('start'), key('9', { person: OPERATOR })],
    [
      'where the server did it for somebody',
      { ...systemActor('mlflow-sync'), person: '1', owner: 'Ann' },
      key('2', { person: '1', owner: 'Ben' }),
    ],
    [
      'where the server did it for somebody of that name',
      { ...systemActor('mlflow-sync'), person: '1', owner: 'Ann' },
      key('2', { person: '2', owner: 'ANN' }),
    ],
  ])('%s', (_, a, b) => {
    expect(both(a, b)).toEqual([true, true]);
  });

  it.each([
    ['with keys of their own', key('1', { person: '1' }), key('2', { person: '2' })],
    ['where the server did it, and a person', systemActor('start'), key('start', { person: '1' })],
    [
      'where the server did it for another',
      { ...systemActor('mlflow-sync'), person: '1' },
      key('9', { person: OPERATOR }),
    ],
  ])('and are not: %s', (_, a, b) => {
    expect(both(a, b)).toEqual([false, false]);
  });
});
