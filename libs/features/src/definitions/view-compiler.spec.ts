import { RuleTally } from '../rules/rule-tally';
import { CLOSE, faultsOf, parse, partsWith } from '../testing/view-document';
import { compileView } from './view-compiler';

describe('compileView', () => {
  it('keys rows of a table by the value of a feature, apart from those of the entity', () => {
    const view = parse([
      { name: 'venue', op: 'last', input: 'venue' },
      { name: 'home', source: 'static', table: 'profile', key: 'venue' },
      { name: 'limit', source: 'static', table: 'profile' },
    ]);
    const plan = compileView(view, { ...partsWith(), tally: new RuleTally() });
    expect(plan.streams.map(({ definition, keyed }) => [definition.name, keyed])).toEqual([
      ...[
        ['bars', false],
        ['profile', true],
        ['profile', false],
      ],
    ]);
    expect(plan.steps[1]).toMatchObject({ kind: 'static', key: 0, stream: 1 });
    expect(plan.steps[2]).toMatchObject({ kind: 'static', stream: 2 });
  });

  it('computes outputs that were not chosen and offers them to nobody', () => {
    const plan = compileView(parse([{ name: 'macd', op: 'macd', input: 'close', outputs: ['hist'] }]), {
      ...partsWith(),
      tally: new RuleTally(),
    });
    expect(plan.steps[0]).toMatchObject({ slot: 0, width: 3 });
    expect(plan.outputs.map(({ name, implicit }) => [name, implicit])).toEqual([
      ...[
        ['macd.line', true],
        ['macd.signal', true],
        ['macd.hist', false],
      ],
    ]);
    expect(
      faultsOf(() =>
        parse([
          { name: 'macd', op: 'macd', input: 'close', outputs: ['hist'] },
          { name: 'a', expr: 'macd.line' },
        ]),
      ),
    ).toHaveLength(1);
  });

  it('evaluates what it compiled', () => {
    const plan = compileView(parse([CLOSE, { name: 'twice', expr: 'price * 2 + bars.open' }]), {
      ...partsWith(),
      tally: new RuleTally(),
    });
    const step = plan.steps.find(({ kind }) => kind === 'expression');
    expect(step?.kind === 'expression' && step.expression.evaluate([3, 0.5])).toBe(6.5);
  });
});
