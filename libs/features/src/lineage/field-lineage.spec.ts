import { compileView } from '../definitions/view-compiler';
import { RuleTally } from '../rules/rule-tally';
import { CLOSE, parse, partsWith } from '../testing/view-document';
import { fieldsByOutput, usesOfAll, type FieldUse } from './field-lineage';
import { LineageGraph } from './lineage-graph';
import { addView } from './view-lineage';

const plan = compileView(
  parse([
    CLOSE,
    { name: 'mean5', op: 'mean', input: 'close', window: 5 },
    { name: 'paid', op: 'sum', input: 'tx.amount', window: '1h', where: 'merchant == "m"' },
    { name: 'venue', op: 'last', input: 'venue' },
    { name: 'home', source: 'static', table: 'profile', key: 'venue' },
    { name: 'fee', source: 'request', dtype: 'double' },
    { name: 'gap', expr: 'price - mean5 + bars.high', dtype: 'double' },
    { name: 'net', expr: 'gap - fee', dtype: 'double' },
    { name: 'late', expr: 'request_time', dtype: 'int' },
    { name: 'n', op: 'count', input: 'tx', window: '10m' },
    { name: 'n_of', op: 'rate', input: 'tx', window: '10m', tile: '1m', where: 'merchant == "m"' },
    { name: 'since', op: 'time_since_last', input: 'tx' },
    { name: 'since_1h', op: 'time_since_last', input: 'tx', window: '1h' },
    { name: 'calm', expr: 'n == 0 && since > 60.0' },
    { name: 'macd', op: 'macd', input: 'open', outputs: ['hist'] },
  ]),
  { ...partsWith(), tally: new RuleTally() },
);

const textOf = ({ stream, field, indirect, subtype }: FieldUse): string =>
  `${stream}.${field} ${indirect ? 'by ' : ''}${subtype}`;

it('says of each output which fields are in it, and how', () => {
  const uses = [...fieldsByOutput(plan)].map(([name, fields]) => [name, fields.map(textOf).sort()]);
  expect(Object.fromEntries(uses)).toEqual({
    price: ['bars.close IDENTITY'],
    mean5: ['bars.close AGGREGATION'],
    paid: ['tx.amount AGGREGATION', 'tx.event_time by WINDOW', 'tx.merchant by FILTER'],
    // What counts events comes from no field of theirs, but from when they were.
    n: ['tx.event_time by WINDOW'],
    n_of: ['tx.event_time by WINDOW', 'tx.merchant by FILTER'],
    since: ['tx.event_time AGGREGATION'],
    since_1h: ['tx.event_time AGGREGATION', 'tx.event_time by WINDOW'],
    calm: ['tx.event_time AGGREGATION', 'tx.event_time by WINDOW'],
    venue: ['bars.venue IDENTITY'],
    home: ['bars.venue by JOIN', 'profile.home IDENTITY'],
    fee: [],
    // The strongest of what is done to one.
    gap: ['bars.close AGGREGATION', 'bars.high TRANSFORMATION'],
    net: ['bars.close AGGREGATION', 'bars.high TRANSFORMATION'],
    late: [],
    'macd.hist': ['bars.open AGGREGATION'],
  });
});

it('says what all outputs come from: the events of one key in their order, and rows that another key leads to', () => {
  expect(usesOfAll(plan).map(textOf)).toEqual([
    'bars.entity by GROUP_BY',
    'bars.event_time by SORT',
    'tx.entity by GROUP_BY',
    'tx.event_time by SORT',
    'profile.entity by JOIN',
    'profile.event_time by SORT',
  ]);
});

it('tells the time of an event from a field that is called so', () => {
  const fields = { event_time: 'double', entity: 'string' };
  const odd = compileView(
    parse([{ name: 'n', op: 'count', input: 'odd', window: '1h' }], { streams: [{ name: 'odd', fields }] }),
    { ...partsWith(), tally: new RuleTally() },
  );
  expect([...usesOfAll(odd), ...(fieldsByOutput(odd).get('n') ?? [])].map(textOf)).toEqual([
    'odd._entity by GROUP_BY',
    'odd._event_time by SORT',
    'odd._event_time by WINDOW',
  ]);
});

it('leads from fields through operators and expressions to each output', () => {
  const graph = new LineageGraph();
  addView(graph, plan);
  const named = new Map(graph.nodes.map(({ id, name }) => [id, name]));
  const from = (name: string): string[] => {
    const to = graph.nodes.filter((node) => node.name === name).map(({ id }) => id);
    return graph.edges
      .filter((edge) => to.includes(edge.to))
      .flatMap((edge) => named.get(edge.from) ?? [])
      .sort();
  };
  expect(from('v:net')).toEqual(['gap - fee']);
  expect(from('gap - fee')).toEqual(['v:fee', 'v:gap']);
  expect(from('price - mean5 + bars.high')).toEqual(['bars.high', 'v:mean5', 'v:price']);
  expect(from('v:fee')).toEqual(['request.fee']);
  expect(from('sum(amount) window=1h where merchant == "m"')).toEqual(['tx.amount', 'tx.merchant']);
  expect(from('lookup(profile.home by venue)')).toEqual(['profile.home', 'v:venue']);
  expect(from('v:macd.hist')).toEqual([expect.stringMatching(/^macd\(open\)/)]);
  expect(from('v:macd.line')).toEqual([]);
});
