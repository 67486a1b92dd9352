import { instantText, QUANTILES, type FeatureQuality, type Micros, type TallyLine } from '@sibyl/features';

type Line = ReturnType<FeatureQuality['since']>[number];

export interface Span {
  readonly from: Micros;
  readonly to: Micros;
}

export function toStatsView(
  lines: readonly Line[],
  rules: readonly TallyLine[],
  { from, to }: Span,
): Record<string, unknown> {
  return {
    from: instantText(from),
    to: instantText(to),
    features: lines.map(toProfileView),
    rules: rules.map(toRuleView),
  };
}

export function toFreshnessView(lines: readonly Line[], { from, to }: Span): Record<string, unknown> {
  return { from: instantText(from), to: instantText(to), features: lines.map(toAgeView) };
}

function toProfileView(line: Line): Record<string, unknown> {
  const { count, statuses, nullRate, quantiles, ...numbers } = line.profile.summary();
  return {
    ...toHeadView(line),
    ...{ count, statuses, null_rate: nullRate },
    ...numbers,
    ...(quantiles && { quantiles: Object.fromEntries(QUANTILES.map((q, i) => [q, quantiles[i]])) }),
  };
}

function toAgeView(line: Line): Record<string, unknown> {
  const { freshnessSlo } = line.view;
  const { count, statuses } = line.profile.summary();
  const ages = line.profile.ageSummary();
  return {
    ...toHeadView(line),
    count,
    stale: statuses.STALE ?? 0,
    ...(ages && { age_seconds: { p50: ages.p50, p95: ages.p95, max: ages.max } }),
    ...(freshnessSlo !== undefined && { freshness_slo_seconds: freshnessSlo / 1e6 }),
    ...(freshnessSlo !== undefined && ages && { violated: ages.p95 > freshnessSlo / 1e6 }),
  };
}

function toHeadView({ view, feature }: Line): Record<string, unknown> {
  return { view: view.name, view_hash: view.hash, feature };
}

function toRuleView({ name, violations, samples }: TallyLine): Record<string, unknown> {
  return { ...name, violations, samples: samples.map(({ at, ...sample }) => ({ at: instantText(at), ...sample })) };
}
