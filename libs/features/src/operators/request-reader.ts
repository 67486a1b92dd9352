import { MAX_SERIES_EVENTS } from '../engine/series';
import type { FieldDefinition, OperatorOutput } from '../definitions/feature-view';
import type { ValueType } from '../feature-value';
import { OperatorFault, type Operator, type OperatorRequest } from './operator';

interface Range {
  readonly min: number;
  readonly max: number;
  /** Left out: the parameter must be there. */
  readonly fallback?: number;
}

const NUMBERS: readonly ValueType[] = ['double', 'int'];
const COUNTABLE: readonly ValueType[] = ['double', 'int', 'bool'];

/** Parameters of operators whose value depends, less and less, on all that came before. */
export const RECURSION = ['history', 'allow_approx'];

/** Reads what a definition asks of one operator; each fault names the member and what the operator takes. */
export class RequestReader {
  private readonly name: string;

  constructor(
    operator: Pick<Operator, 'name' | 'inputs' | 'params'>,
    readonly request: OperatorRequest,
  ) {
    this.name = operator.name;
    const { inputs, params } = operator;
    if (request.inputs.length !== inputs.length) {
      const takes = inputs.length === 0 ? 'no input field' : `${inputs.length} (${inputs.join(', ')})`;
      throw this.fault('input', `takes ${takes}, not ${request.inputs.length}`);
    }
    for (const name of Object.keys(request.params)) {
      if (!params.includes(name)) {
        throw this.fault(name, `does not take '${name}'${params.length > 0 ? `; it takes ${params.join(', ')}` : ''}`);
      }
    }
  }

  fault(member: string, message: string): OperatorFault {
    return new OperatorFault(member, `${this.name} ${message}`);
  }

  whole(name: string, range: Range): number {
    const value = this.number(name, range);
    if (!Number.isInteger(value)) throw this.fault(name, `needs '${name}' to be a whole number, not ${value}`);
    return value;
  }

  number(name: string, { min, max, fallback }: Range): number {
    const value = this.request.params[name] ?? fallback;
    if (value === undefined) throw this.fault(name, `needs '${name}' between ${min} and ${max}`);
    if (typeof value !== 'number' || !(value >= min && value <= max)) {
      throw this.fault(name, `needs '${name}' to be a number between ${min} and ${max}, not ${JSON.stringify(value)}`);
    }
    return value;
  }

  choice<T>(name: string, choices: ReadonlyMap<string, T>, fallback: string): T {
    const value = this.request.params[name] ?? fallback;
    const chosen = typeof value === 'string' ? choices.get(value) : undefined;
    if (chosen === undefined) {
      throw this.fault(
        name,
        `needs '${name}' to be one of ${[...choices.keys()].join(', ')}, not ${JSON.stringify(value)}`,
      );
    }
    return chosen;
  }

  /** The field of any type at this place among the inputs. */
  field(place: number): { readonly index: number; readonly field: FieldDefinition } {
    const input = this.request.inputs[place];
    if (input === undefined) throw this.fault('input', `lacks input ${place + 1}`);
    return input;
  }

  /** Index of the column of an input that must be a number. */
  numeric(place: number): number {
    return this.typed(place, NUMBERS);
  }

  /** Index of the column of an input that may be a boolean too, which counts as 0 and 1. */
  countable(place: number): number {
    return this.typed(place, COUNTABLE);
  }

  /** For operators that say how far they look back by a parameter. */
  withoutWindow(): void {
    if (this.request.window !== undefined) throw this.fault('window', 'takes no window');
    this.withoutTile();
  }

  withoutTile(): void {
    if (this.request.tile !== undefined) throw this.fault('tile', 'takes no tile');
  }

  /**
   * Events that a recursion runs over: `exact`, before which nothing makes a difference, or as many as the definition says. Fewer change
   * the value, which has to be allowed. `least`: without so many there never is a value.
   */
  recursion(exact: number, least: number, member: string): number {
    const { history, allow_approx: approximate = false } = this.request.params;
    if (typeof approximate !== 'boolean') throw this.fault('allow_approx', "needs 'allow_approx' to be true or false");
    if (history === undefined) {
      if (approximate) throw this.fault('allow_approx', "takes 'allow_approx' beside 'history' only");
      if (exact <= MAX_SERIES_EVENTS) return exact;
      const kept = `at most ${MAX_SERIES_EVENTS} are kept of an entity`;
      throw this.fault(
        member,
        `would depend on ${exact} events; ${kept}: 'history' with 'allow_approx: true' takes fewer`,
      );
    }
    const events = this.whole('history', { min: least, max: MAX_SERIES_EVENTS });
    if (events >= exact || approximate) return events;
    const instead = `from ${events} it is another value, which 'allow_approx: true' allows`;
    throw this.fault('history', `depends on ${exact} events; ${instead}`);
  }

  /** `history` where it fits in what is kept. */
  history(events: number, member: string): number {
    if (events > MAX_SERIES_EVENTS) {
      throw this.fault(member, `would depend on ${events} events; at most ${MAX_SERIES_EVENTS} are kept of an entity`);
    }
    return events;
  }

  private typed(place: number, types: readonly ValueType[]): number {
    const { index, field } = this.field(place);
    if (!types.includes(field.type)) {
      throw this.fault('input', `takes a field of type ${types.join(' or ')}; '${field.name}' is ${field.type}`);
    }
    return index;
  }
}

/** The outputs of an operator with one unnamed value. */
export function oneOutput(type: ValueType, list = false): readonly OperatorOutput[] {
  return [{ name: '', type, list }];
}

/** The outputs of an operator with several numbers, each with its name. */
export function namedOutputs(...names: readonly string[]): readonly OperatorOutput[] {
  return names.map((name) => ({ name, type: 'double', list: false }));
}
