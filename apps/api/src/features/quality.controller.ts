import { Controller, Get, Query } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { Backfills, DefinitionSnapshot, unknownView } from '@sibyl/features';
import { Clock } from '@sibyl/kernel';
import { Endpoint } from '../http/endpoint.decorator';
import { QualityQuery } from './feature.dto';
import { toFreshnessView, toStatsView, type Span } from './quality.view';
import { TeamQuality } from './team-quality';

@ApiTags('Features')
@Controller('v1/features')
export class QualityController {
  constructor(
    private readonly quality: TeamQuality,
    private readonly backfills: Backfills,
    private readonly views: DefinitionSnapshot,
    private readonly clock: Clock,
  ) {}

  @Get('stats')
  @Endpoint({
    summary: 'Show what the values of features are',
    description:
      'Of what all workers of the server that answers have served in the last minutes, an hour at most (`workers`: how many are in the answer; one that does not answer is left out): counts by status, least, greatest and mean, and quantiles and a histogram of values that were counted in bins 2 % wide and are taken as spread evenly in each: close for values that are, at most 2 % off for others; of texts and lists their lengths. With it the rules that did not hold since it started, and the newest values that broke them, redacted; and the baseline of the version, where a backfill made one.',
    access: 'features:read',
    action: 'feature.stats',
    answer: 'FeatureStats',
    errors: ['feature_view_not_found', 'database_unavailable'],
  })
  async stats(@Query() { view, minutes = 15 }: QualityQuery): Promise<Record<string, unknown>> {
    this.require(view);
    const span = this.span(minutes);
    const served = await this.quality.since({ from: span.from, view });
    const baselines = await this.backfills.baselines([...new Set(served.lines.map((line) => line.view.hash))]);
    return toStatsView(served, baselines, span);
  }

  @Get('freshness')
  @Endpoint({
    summary: 'Show how old the values of features were',
    description:
      'Ages of the events behind the values that all workers of the server that answers have served in the last minutes, and whether they keep to `freshness_slo` of the view.',
    access: 'features:read',
    action: 'feature.freshness',
    answer: 'FeatureFreshness',
    errors: ['feature_view_not_found'],
  })
  async freshness(@Query() { view, minutes = 15 }: QualityQuery): Promise<Record<string, unknown>> {
    this.require(view);
    const span = this.span(minutes);
    return toFreshnessView(await this.quality.since({ from: span.from, view }), span);
  }

  private require(view: string | undefined): void {
    if (view !== undefined && !this.views.view(view)) throw unknownView(view, this.views);
  }

  private span(minutes: number): Span {
    const to = this.clock.now() * 1000;
    return { from: to - minutes * 60e6, to };
  }
}
