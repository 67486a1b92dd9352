import { readFileSync } from 'node:fs';
import path from 'node:path';
import { CelEngine } from '../expressions/cel-engine';
import { OPERATORS } from '../operators/catalogue';
import { RuleTally } from '../rules/rule-tally';
import { canonicalSet, canonicalView } from './canonical';
import type { DefinitionParts } from './definition-parts';
import { readDocuments } from './document-text';
import type { FeatureSet, FeatureView } from './feature-view';
import { parseSet, type KnownViews } from './set-definition';
import { compileView } from './view-compiler';
import { parseView } from './view-definition';

const parts: DefinitionParts = {
  operators: OPERATORS,
  expressions: new CelEngine(),
  streams: { stream: () => undefined },
};

const ROOT = path.join(__dirname, '../../../..');

function example(file: string): { readonly view: FeatureView; readonly set: FeatureSet } {
  return read(readFileSync(path.join(ROOT, 'examples/features', file), 'utf8'));
}

function read(text: string): { readonly view: FeatureView; readonly set: FeatureSet } {
  const [viewDocument, setDocument] = readDocuments(text);
  const view = parseView(viewDocument, parts);
  const views: KnownViews = { view: (name) => (name === view.name ? view : undefined), names: () => [view.name] };
  return { view, set: parseSet(setDocument, views) };
}

describe('the examples', () => {
  it('of trading is what its text says', () => {
    const { view, set } = example('trading.yaml');
    expect(view.entity).toEqual({ name: 'symbol', type: 'string', pattern: '^[A-Z0-9]+/[A-Z0-9]+$', maxLength: 256 });
    expect(view.streams[0]).toMatchObject({ identity: 'event_time', allowedLateness: 600_000_000, table: false });
    expect(set.members.map(({ name, type }) => `${name} ${type}`)).toEqual([
      ...['price double', 'volume double', 'rsi double', 'macd double', 'macd_hist double', 'z20 double'],
    ]);
    expect(set).toMatchObject({ onMissing: 'error', onStale: 'error', minCompleteness: 1 });
  });

  it('of trading compiles to a plan whose steps follow what they read', () => {
    const plan = compileView(example('trading.yaml').view, { ...parts, tally: new RuleTally() });
    const offered = plan.outputs.filter(({ implicit }) => !implicit).map(({ name }) => name);
    expect(offered).toEqual([
      ...['price', 'volume', 'rsi', 'macd.line', 'macd.signal', 'macd.hist', 'atr', 'std20', 'mean20', 'z20', 'range'],
    ]);
    expect(plan.outputs.filter(({ implicit }) => implicit).map(({ name }) => name)).toEqual([
      ...['candles_1m.high', 'candles_1m.low'],
    ]);
    for (const step of plan.steps) {
      if (step.kind !== 'expression') continue;
      expect(step.slots.map((slot) => plan.outputs[slot]?.name)).toEqual(step.expression.variables);
      for (const slot of step.slots) expect(slot).toBeLessThan(step.slot);
    }
    // RSI(14) by Wilder's average, MACD(12,26,9) by its slowest.
    expect(plan.streams).toHaveLength(1);
    expect(plan.streams[0]!.history).toBeGreaterThanOrEqual(532);
    expect(plan.streams[0]!.span).toBe(0);
  });

  it('of card fraud compiles: windows by time, tiles, a condition, a table and the moment that is asked about', () => {
    const { view, set } = example('card_fraud.yaml');
    const plan = compileView(view, { ...parts, tally: new RuleTally() });
    const [tx, profile] = plan.streams;
    expect(tx!.definition.name).toBe('tx');
    expect(tx!.span).toBe(86_400_000_000);
    expect(tx!.tiles.map((i) => plan.outputs[plan.steps[i]!.slot]!.name)).toEqual(['mean_30d']);
    expect(profile).toMatchObject({ keyed: false, history: 1, definition: { name: 'card_profile', table: true } });
    const amount = plan.steps.find((step) => step.kind === 'operator' && step.feature.name === 'amt_1h');
    expect(amount).toMatchObject({
      where: { fields: [view.streams[0]!.fields.findIndex(({ name }) => name === 'ok')] },
    });
    expect(plan.steps.some(({ kind }) => kind === 'moment')).toBe(true);
    expect(view.features.find(({ name }) => name === 'night')).toMatchObject({ type: 'bool' });
    expect(set.members.map(({ type }) => type)).toEqual([
      'double',
      'int',
      'double',
      'int',
      'double',
      'double',
      'bool',
      'bool',
    ]);
    expect(set.members.every(({ viewHash }) => viewHash === view.hash)).toBe(true);
  });

  it('of docs/formats/feature-definitions.md are what the page says they are', () => {
    const page = readFileSync(path.join(ROOT, 'docs/formats/feature-definitions.md'), 'utf8');
    const blocks = [...page.matchAll(/```yaml\n(.*?)```/gs)].map(([, block]) => block);
    const { view, set } = read(blocks.join('---\n'));
    expect(view.features).toHaveLength(5);
    expect(set.members.map(({ name }) => name)).toEqual(['price', 'macd_hist', 'volume']);
  });

  it.each(['trading.yaml', 'card_fraud.yaml'])('%s comes back from its canonical form as it was', (file) => {
    const { view, set } = example(file);
    expect(parseView(JSON.parse(JSON.stringify(canonicalView(view))), parts)).toEqual(view);
    const views: KnownViews = { view: () => view, names: () => [] };
    expect(parseSet(JSON.parse(JSON.stringify(canonicalSet(set))), views)).toEqual(set);
  });
});
