import type { AliasEvent } from '@sibyl/registry';
import type { Answer, Question } from '../workers/messages';
import { NoSiblings } from '../workers/siblings';
import type { Serving } from './serving';
import { TeamServing } from './team-serving';

const ACTOR = { type: 'system' as const, id: 'test', name: 'test' };
const MOVE = { model: 'churn', alias: 'production', reason: 'a test', ifMatch: '"1"' };
const record = (): Promise<void> => Promise.resolve();

/** Notes what is done and asked, in order. */
function team(target: string | undefined, answers: readonly Answer[] = []) {
  const done: unknown[] = [];
  class Noting extends NoSiblings {
    override ask(question?: Question, body?: unknown): Promise<readonly Answer[]> {
      done.push([question, body]);
      return Promise.resolve(question === 'warm' ? answers : []);
    }
  }
  const move = (what: string) => () => Promise.resolve(done.push(what)).then(() => ({}) as AliasEvent);
  const own = { promote: move('promoted'), rollback: move('rolled back') } as unknown as Serving;
  const aliases = { rollbackTarget: () => Promise.resolve(target) };
  return { done, serving: new TeamServing(own, new Noting(), aliases, 1000) };
}

describe('an alias of a server of several workers', () => {
  it('moves when the version is warm everywhere, and its mover is answered when all have switched', async () => {
    const { done, serving } = team(undefined);
    await serving.promote(ACTOR, { ...MOVE, version: '2' }, record);
    expect(done).toEqual([['warm', { model: 'churn', version: '2' }], 'promoted', ['follow', undefined]]);
  });

  it('moves back when the version before is warm everywhere', async () => {
    const { done, serving } = team('1');
    await serving.rollback(ACTOR, MOVE, record);
    expect(done).toEqual([['warm', { model: 'churn', version: '1' }], 'rolled back', ['follow', undefined]]);
  });

  it('does not move back to what a worker cannot load', async () => {
    const { done, serving } = team('1', [{}, { error: { code: 'model_not_ready', detail: 'no memory' } }]);
    await expect(serving.rollback(ACTOR, MOVE, record)).rejects.toMatchObject({ code: 'model_not_ready' });
    expect(done).not.toContain('rolled back');
  });

  it('that has no version before is refused by the rollback itself', async () => {
    const { done, serving } = team(undefined);
    await serving.rollback(ACTOR, MOVE, record);
    expect(done).toEqual(['rolled back', ['follow', undefined]]);
  });
});
