import type { FeatureValue, ValueStatus } from '../feature-value';
import { instantText } from '../time';
import { RowTexts, type RowValues } from './row-texts';
import type { ValueSource } from './selection';

const AT = 1_700_000_000_000_000;
const usual: readonly ValueSource[] = ['stream', 'expression', 'table'];

const row = (
  values: readonly FeatureValue[],
  statuses: readonly ValueStatus[] = values.map(() => 'PRESENT'),
  times: readonly number[] = values.map(() => AT - 1_500_400),
  sources: readonly ValueSource[] = usual,
): RowValues => ({ values, statuses, times, sources });

/** Plainly, without anything that is kept or found to be alike. */
function naive({ values, statuses, times, sources }: RowValues): unknown {
  return JSON.parse(
    JSON.stringify({
      values,
      statuses,
      sources,
      times: times.map((time) => (Number.isNaN(time) ? null : instantText(time))),
      ages: times.map((time) => (Number.isNaN(time) ? null : Math.max(0, Math.round((AT - time) / 1000)))),
    }),
  );
}

function written(of: RowValues): unknown {
  const texts = new RowTexts(of);
  const { values, statuses, times, sources } = texts.lists;
  return JSON.parse(
    `{"values":${values},"statuses":${statuses},"sources":${sources},"times":${times},"ages":${texts.ages(AT)}}`,
  );
}

const rows: readonly RowValues[] = [
  row([1, 0.1 + 0.2, -0]),
  row([1e21, 5e-324, -1.5]),
  row([true, 2, false]),
  row([null, 2, 3], ['NULL', 'PRESENT', 'PRESENT']),
  row(['a"b', [1, null, 'x'], 3]),
  row([Number.NaN, 1, 2]),
  row([null, null, null], ['NOT_FOUND', 'NOT_FOUND', 'NOT_FOUND'], [Number.NaN, Number.NaN, Number.NaN]),
  row([1, 2, 3], undefined, [AT, Number.NaN, AT - 7]),
  row([1, 2, 3], undefined, [AT + 5_000_000, AT + 5_000_000, AT + 5_000_000]),
  row([1, 2, 3], undefined, undefined, ['request', 'default', 'table']),
  row([1], ['PRESENT'], [AT - 1_500_400], ['stream']),
  row([1, 2], ['STALE', 'STALE'], [AT - 1_500_400, AT - 1_500_400], ['stream', 'stream']),
];

it('writes any row as JSON does, whichever was written before it', () => {
  for (const before of rows)
    for (const one of rows) {
      written(before);
      expect(written(one)).toEqual(naive(one));
    }
});

it('writes each value alone for those who write columns', () => {
  for (const one of rows) {
    const texts = new RowTexts(one).values.map((text) => JSON.parse(text) as unknown);
    expect(texts).toEqual(JSON.parse(JSON.stringify(one.values)));
  }
});
