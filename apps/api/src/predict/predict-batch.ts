import type { Principal } from '@sibyl/auth';
import { DomainError } from '@sibyl/kernel';
import type { JsonText } from '@sibyl/protocol';
import type {
  PredictCall,
  PredictionService,
  Resolution,
  RowAnswer,
  RowRequest,
  ServedVersion,
} from '@sibyl/prediction';
import { internalError } from '../http/problem';
import { batchItem } from './predict-answers';
import { readEnvelope, type BatchEnvelope, type PredictEnvelope } from './predict-envelope';

interface Group {
  readonly served: ServedVersion;
  readonly rows: RowRequest[];
  readonly indexes: number[];
}

/** Which version answers an item; throws what is wrong with the item's model. */
export type ResolveItem = (model: string | undefined, version: string | undefined) => Resolution;

/** The items of a batch, answered together per version; one bad item never fails the others. */
export class PredictBatch {
  private readonly envelopes: (PredictEnvelope | undefined)[] = [];
  private readonly answers: (RowAnswer | DomainError | undefined)[] = [];
  private readonly groups = new Map<ServedVersion, Group>();
  private readonly served: (ServedVersion | undefined)[] = [];

  constructor(
    private readonly service: PredictionService,
    private readonly resolve: ResolveItem,
  ) {}

  read(batch: BatchEnvelope): void {
    batch.requests.forEach((item, index) => {
      try {
        this.place(item, index, batch);
      } catch (error) {
        this.answers[index] = asDomainError(error);
      }
    });
  }

  /** Whether an item leaves the model to the batch. */
  static needsDefault(batch: BatchEnvelope): boolean {
    return batch.requests.some((item) => (item as { model?: unknown } | null)?.model === undefined);
  }

  async predict(call: PredictCall): Promise<void> {
    const groups = [...this.groups.values()];
    const answers = await this.service.predictGroups(groups, call);
    groups.forEach(({ indexes }, g) => answers[g]?.forEach((answer, i) => (this.answers[indexes[i] ?? 0] = answer)));
  }

  /** The items as JSON text, in the order of the request. `main` is the version that the batch's model_info names. */
  items(main: ServedVersion | undefined, caller: Principal | undefined): JsonText[] {
    return this.answers.map((answer, index) => {
      const served = this.served[index];
      return batchItem(
        this.envelopes[index]?.symbol,
        answer ?? internalError(new Error('a batch item was not answered')),
        served,
        served !== main,
        caller,
      );
    });
  }

  /** The version of the first item that has one; the batch's own when no item left the model to it. */
  first(): ServedVersion | undefined {
    return this.served.find((served) => served !== undefined);
  }

  /** The versions of items that failed, one an item; an item whose model is unknown has none. */
  get failed(): readonly ServedVersion[] {
    return this.answers.flatMap((answer, index) => {
      const served = this.served[index];
      return answer instanceof DomainError && served !== undefined ? [served] : [];
    });
  }

  /** In the order of the request; undefined where an item failed. */
  get answered(): readonly (RowAnswer | undefined)[] {
    return this.answers.map((answer) => (answer instanceof DomainError ? undefined : answer));
  }

  get succeeded(): readonly { readonly served: ServedVersion; readonly answer: RowAnswer }[] {
    return this.answers.flatMap((answer, index) => {
      const served = this.served[index];
      return answer === undefined || answer instanceof DomainError || served === undefined ? [] : [{ served, answer }];
    });
  }

  private place(item: unknown, index: number, batch: BatchEnvelope): void {
    const pointer = `/requests/${index}`;
    const envelope = readEnvelope(item, pointer, false);
    this.envelopes[index] = envelope;
    const { served } = this.resolve(
      envelope.model ?? batch.model,
      envelope.version ?? (envelope.model === undefined ? batch.version : undefined),
    );
    this.served[index] = served;
    let group = this.groups.get(served);
    if (!group) this.groups.set(served, (group = { served, rows: [], indexes: [] }));
    group.rows.push({ features: envelope.features, query: envelope.query, pointer: `${pointer}/features` });
    group.indexes.push(index);
  }
}

function asDomainError(error: unknown): DomainError {
  return error instanceof DomainError ? error : internalError(error);
}
