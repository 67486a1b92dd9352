import type { CompiledOperator } from '../operators/operator';
import type { StreamDefinition } from './feature-view';
import type { OperatorOutput } from './feature-view';
import type { PlanOutput, PlanStep, StreamPlan } from './view-plan';

type Unplaced<Step> = Step extends PlanStep ? Omit<Step, 'slot' | 'width'> : never;

/** Lays out steps, slots and what is needed of the streams. */
export class PlanBuilder {
  readonly steps: PlanStep[] = [];
  readonly outputs: PlanOutput[] = [];
  private readonly slots = new Map<string, number>();
  private readonly uses = new Map<string, StreamUse>();

  /** `chosen`: names of the outputs that callers may ask for; all others, and all of implicit steps, are read by expressions only. */
  add(step: Unplaced<PlanStep>, name: string, outputs: readonly OperatorOutput[], chosen: readonly string[]): void {
    const slot = this.outputs.length;
    const index = this.steps.push({ ...step, slot, width: outputs.length } as PlanStep) - 1;
    for (const { name: part, type, list } of outputs) {
      const full = part === '' ? name : `${name}.${part}`;
      const offered = chosen.includes(part);
      if (offered) this.slots.set(full, this.outputs.length);
      this.outputs.push({ name: full, type, list, step: index, implicit: step.implicit || !offered });
    }
    if (step.kind === 'operator') this.needs(step.stream, step.operator, index);
  }

  slot(name: string): number | undefined {
    return this.slots.get(name);
  }

  output(name: string): PlanOutput | undefined {
    const slot = this.slots.get(name);
    return slot === undefined ? undefined : this.outputs[slot];
  }

  /** Index of a stream among those that the plan reads. */
  stream(definition: StreamDefinition, keyed: boolean): number {
    const key = `${keyed ? 'key' : 'entity'} ${definition.name}`;
    const known = this.uses.get(key);
    if (known) return known.index;
    const index = this.uses.size;
    this.uses.set(key, { index, definition, keyed, history: 1, span: 0, tiles: [] });
    return index;
  }

  get streams(): readonly StreamPlan[] {
    return [...this.uses.values()].map(({ definition, keyed, history, span, tiles }) => ({
      ...{ definition, keyed, history, span, tiles },
    }));
  }

  private needs(stream: number, { history, span, tiles }: CompiledOperator, step: number): void {
    const use = [...this.uses.values()][stream];
    if (!use) return;
    use.history = Math.max(use.history, history);
    if (tiles) use.tiles.push(step);
    else use.span = Math.max(use.span, span);
  }
}

interface StreamUse {
  readonly index: number;
  readonly definition: StreamDefinition;
  readonly keyed: boolean;
  history: number;
  span: number;
  readonly tiles: number[];
}
