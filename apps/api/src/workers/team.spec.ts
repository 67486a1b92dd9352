import type { Answer, Question } from './messages';
import { NoSiblings } from './siblings';
import { elsewhere } from './team';

/** Notes what is asked, and answers it. */
class Noting extends NoSiblings {
  readonly asked: unknown[] = [];

  constructor(private readonly answers: readonly Answer[]) {
    super();
  }

  override ask(question?: Question, body?: unknown, limitMs?: number): Promise<readonly Answer[]> {
    this.asked.push([question, body, limitMs]);
    return Promise.resolve(this.answers);
  }
}

describe('what a promotion asks of the other workers', () => {
  it('is that they load the version, and then that they follow', async () => {
    const siblings = new Noting([{}]);
    const others = elsewhere(siblings, 1_000);
    await others.warm('churn', '2');
    await others.follow();
    expect(siblings.asked).toEqual([
      ['warm', { model: 'churn', version: '2' }, 1_000],
      ['follow', undefined, expect.any(Number)],
    ]);
  });

  it('is refused where one of them cannot load it', async () => {
    const others = elsewhere(new Noting([{}, { error: { code: 'model_not_ready', detail: 'no memory' } }]), 1_000);
    await expect(others.warm('churn', '2')).rejects.toMatchObject({ code: 'model_not_ready' });
  });
});
