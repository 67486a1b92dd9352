import {
  instantText,
  QUANTILES,
  type BackfillResult,
  type Micros,
  type ProfileLine,
  type ProfileSummary,
  type RuleCount,
} from '@sibyl/features';
import type { Served } from './team-quality';

export interface Span {
  readonly from: Micros;
  readonly to: Micros;
}

export function toStatsView(
  { lines, rules, workers }: Served,
  baselines: ReadonlyMap<string, BackfillResult['features']>,
  { from, to }: Span,
): Record<string, unknown> {
  return {
    from: instantText(from),
    to: instantText(to),
    workers,
    features: lines.map((line) => toProfileView(line, baselines.get(line.view.hash)?.[line.feature])),
    rules: rules.map(toRuleView),
  };
}

export function toFreshnessView({ lines, workers }: Served, { from, to }: Span): Record<string, unknown> {
  return { from: instantText(from), to: instantText(to), workers, features: lines.map(toAgeView) };
}

export function toBackfillView({ features, ...made }: BackfillResult): Record<string, unknown> {
  return {
    ...made,
    features: Object.fromEntries(Object.entries(features).map(([name, summary]) => [name, toSummaryView(summary)])),
  };
}

function toProfileView(line: ProfileLine, baseline: ProfileSummary | undefined): Record<string, unknown> {
  return {
    ...toHeadView(line),
    ...toSummaryView(line.profile.summary()),
    ...(baseline && { baseline: toSummaryView(baseline) }),
  };
}

function toSummaryView({ count, statuses, nullRate, quantiles, ...numbers }: ProfileSummary): Record<string, unknown> {
  return {
    ...{ count, statuses, null_rate: nullRate },
    ...numbers,
    ...(quantiles && { quantiles: Object.fromEntries(QUANTILES.map((q, i) => [q, quantiles[i]])) }),
  };
}

function toAgeView(line: ProfileLine): Record<string, unknown> {
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

function toHeadView({ view, feature }: ProfileLine): Record<string, unknown> {
  return { view: view.name, view_hash: view.hash, feature };
}

function toRuleView({ name, violations, samples }: RuleCount): Record<string, unknown> {
  return { ...name, violations, samples: samples.map(({ at, ...sample }) => ({ at: instantText(at), ...sample })) };
}
