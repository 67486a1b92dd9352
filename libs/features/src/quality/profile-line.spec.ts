import { ProfileLines, type ProfileLine } from './profile-line';
import { FeatureProfile } from './feature-profile';

const view = { name: 'market', hash: 'sha256:01', freshnessSlo: 10e6 };

function lineOf(values: readonly (number | string | null)[], feature = 'price', hash = view.hash): ProfileLine {
  const profile = new FeatureProfile();
  for (const value of values) profile.add(value, value === null ? 'STALE' : 'PRESENT', value === null ? NaN : 1e6);
  return { view: { ...view, hash }, feature, profile };
}

/** As another process gets it. */
const sent = <T>(parts: T): T => JSON.parse(JSON.stringify(parts)) as T;

const parts = (...lines: readonly ProfileLine[]): ProfileLines['parts'] => {
  const merged = new ProfileLines();
  for (const line of lines) merged.merge(line);
  return sent(merged.parts);
};

it('is the same whether its parts come from here or from elsewhere', () => {
  const values = [-5, -0.001, 0, 1e-12, 3, 3, 7e9, 'abc', null];
  const [whole, apart] = [new ProfileLines(), new ProfileLines()];
  whole.merge(lineOf([...values, ...values]));
  whole.merge(lineOf([1], 'volume'));
  apart.merge(lineOf(values));
  for (const line of parts(lineOf(values), lineOf([1], 'volume'))) apart.take(line);
  expect(apart.parts).toEqual(whole.parts);
  const summaries = ({ lines }: ProfileLines): unknown[] =>
    lines.map(({ profile }) => [profile.summary(), profile.ageSummary()]);
  expect(summaries(apart)).toEqual(summaries(whole));
  expect(apart.lines.map(({ view: { freshnessSlo } }) => freshnessSlo)).toEqual([10e6, 10e6]);
});

it('keeps versions of a view apart', () => {
  const lines = new ProfileLines();
  for (const line of parts(lineOf([1]), lineOf([2], 'price', 'sha256:02'))) lines.take(line);
  expect(lines.lines.map(({ profile }) => profile.summary().max)).toEqual([1, 2]);
});

it('takes what has no values, and goes on', () => {
  const lines = new ProfileLines();
  for (const line of parts(lineOf([null]))) lines.take(line);
  expect(lines.lines[0]?.profile.summary()).toEqual({ count: 1, statuses: { STALE: 1 }, nullRate: 1 });
  lines.merge(lineOf([4]));
  expect(lines.lines[0]?.profile.summary()).toMatchObject({ count: 2, min: 4, max: 4 });
});
