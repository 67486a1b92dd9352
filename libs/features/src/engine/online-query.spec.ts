import type { Given } from './frame';
import { framesOf, sharedTasksOf, tasksOf, type OnlineQuery } from './online-query';
import type { Program } from './program';

const views = [{ id: 1 }, { id: 2 }] as unknown as Program[];
const given = (key: string): Given => ({ values: [], key });
const queryOf = (...rows: OnlineQuery['rows']): OnlineQuery => ({ views, rows });

describe('tasks of a read', () => {
  it('are one for all rows that ask the same of a view, and those of each moment where moments differ', () => {
    const query = queryOf({ entities: ['a', 'x'] }, { entities: ['b', 'x'] }, { entities: ['a', 'y'] });
    const [a, x, b, x2, a2, y] = sharedTasksOf(query);
    expect([a2 === a, x2 === x, b === a, y === x]).toEqual([true, true, false, false]);
    expect(new Set(tasksOf(query)).size).toBe(6);
  });

  it('are not shared by rows that are given something else, nor by views', () => {
    const all = given('all');
    const shared = queryOf({ entities: ['a', 'a'], given: [all] }, { entities: ['a', 'a'], given: [all] });
    expect(new Set(sharedTasksOf(shared)).size).toBe(2);
    const apart = queryOf({ entities: ['a', 'a'], given: [given('1')] }, { entities: ['a', 'a'], given: [given('2')] });
    expect(new Set(sharedTasksOf(apart)).size).toBe(3);
  });

  it('come to the frames of every row that shares them', () => {
    const query = queryOf({ entities: ['a', 'x'] }, { entities: ['a', 'x'] });
    const tasks = sharedTasksOf(query);
    for (const task of tasks) task.frame = { at: 1 } as never;
    const [first, second] = framesOf(tasks, query);
    expect([second?.[0] === first?.[0], second?.[1] === first?.[1]]).toEqual([true, true]);
  });
});
