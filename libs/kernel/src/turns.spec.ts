import { setImmediate as turn } from 'node:timers/promises';
import { Turns } from './turns';

/** Works until `steps` slices are used up. */
async function work(turns: Turns, name: string, steps: number, done: string[]): Promise<void> {
  for (let step = 0; step < steps; step++) {
    await turns.next();
    expect(turns.due).toBe(false);
    done.push(name);
    while (!turns.due);
  }
}

describe('Turns', () => {
  it('gives slices in turn to those who work', async () => {
    const turns = new Turns();
    const done: string[] = [];
    await Promise.all([work(turns, 'a', 3, done), work(turns, 'b', 2, done), work(turns, 'c', 1, done)]);
    expect(done.join('')).toBe('abcaba');
  });

  it('lets everything else have its turn between two slices', async () => {
    const turns = new Turns();
    const done: string[] = [];
    const other = async (): Promise<void> => {
      for (let i = 0; i < 4; i++) {
        await turn();
        done.push('-');
      }
    };
    await Promise.all([work(turns, 'a', 2, done), work(turns, 'b', 2, done), other()]);
    expect(done.join('')).toBe('a-b-a-b-');
  });

  it('is due before the first slice', () => expect(new Turns().due).toBe(true));
});
