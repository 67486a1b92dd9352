import { Injectable } from '@nestjs/common';
import type { Principal } from '@sibyl/auth';
import { Lineage, PredictionLineage, toMermaid, type LineageQuery } from '@sibyl/features';
import { DomainError, received } from '@sibyl/kernel';
import { RecordedPredictions } from '../audit/recorded-predictions';
import type { LineageQueryDto } from './lineage.dto';
import { toGraphView } from './lineage.view';
import { toPredictionRecord } from './prediction-record';

type Format = NonNullable<LineageQueryDto['format']>;
type LineageAnswer = Record<string, unknown> | string;

/** Lineage in the form that was asked for: text of Mermaid, or an object. */
@Injectable()
export class LineageAnswers {
  constructor(
    private readonly lineage: Lineage,
    private readonly ofPredictions: PredictionLineage,
    private readonly predictions: RecordedPredictions,
  ) {}

  async answer(
    caller: Principal,
    { format = 'json', prediction, row, ...query }: LineageQueryDto,
  ): Promise<LineageAnswer> {
    if (prediction !== undefined) return this.ofPrediction(caller, { prediction, row, query, format });
    if (row !== undefined)
      throw invalid('row', 'Only a prediction has rows.', { expected: 'nothing without prediction', given: row });
    return this.ofDefinitions(query, format);
  }

  private async ofDefinitions(query: LineageQuery, format: Format): Promise<LineageAnswer> {
    const { lineage } = this;
    if (format === 'openlineage') return { events: await lineage.openLineage(query) };
    const { impact: of } = query;
    if (format === 'mermaid') return toMermaid(await lineage.graph(query));
    if (of === undefined) return toGraphView(await lineage.graph(query));
    const { graph, ...impact } = await lineage.impact(of);
    return { ...toGraphView(graph), impact };
  }

  private async ofPrediction(
    caller: Principal,
    asked: {
      readonly prediction: string;
      readonly row: number | undefined;
      readonly query: LineageQuery;
      readonly format: Format;
    },
  ): Promise<LineageAnswer> {
    const { prediction: id, row = 0, query, format } = asked;
    const [other, given] = Object.entries(query).find(([, value]) => value !== undefined) ?? [];
    if (other !== undefined)
      throw invalid(other, `Ask for one of prediction, ${other} at a time.`, {
        expected: 'nothing beside prediction',
        given,
      });
    const record = toPredictionRecord(id, await this.predictions.find(caller, id), row);
    if (format === 'openlineage') return { events: await this.ofPredictions.openLineage(record) };
    const graph = await this.ofPredictions.graph(record);
    return format === 'mermaid' ? toMermaid(graph) : toGraphView(graph);
  }
}

function invalid(
  parameter: string,
  detail: string,
  { expected, given }: { readonly expected: string; readonly given: unknown },
): DomainError {
  const faults = [{ pointer: `/${parameter}`, expected, received: received(given) }];
  return new DomainError('invalid_parameter', detail, { faults });
}
