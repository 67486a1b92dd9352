import type { FeatureValue } from '../feature-value';
import { ARGUMENTS_MAX, fixed, present, type CelFunction, type Compute } from './cel-call';
import { whole } from './cel-operators';
import { BOOL, DOUBLE, INT, isNumber, typeFault, typeName, unify, type StaticType } from './cel-term';
import { TEXT_FUNCTIONS, TEXT_METHODS } from './cel-text';

/** Of numbers; whole where all of them are. */
function likeItsNumbers(min: number, max: number, compute: Compute): CelFunction {
  return {
    min,
    max,
    compile: (args) => {
      for (const { node, type } of args) {
        if (!isNumber(type)) throw typeFault(node, `a number is expected, not ${typeName(type)}`);
      }
      return { type: args.every(({ type }) => type.kind === 'int') ? INT : DOUBLE, run: present(args, compute) };
    },
  };
}

const ofNumber = (compute: (value: number) => number): CelFunction => fixed([DOUBLE], DOUBLE, compute);

/** Half away from zero, as people round. */
function round(value: number): number {
  return Math.sign(value) * Math.round(Math.abs(value));
}

const MS_PER_HOUR = 3_600_000;
const MS_PER_DAY = 24 * MS_PER_HOUR;

/** Of a time in milliseconds since 1970, in UTC. */
function hour(ms: number): number {
  return whole(Math.floor(modulo(ms, MS_PER_DAY) / MS_PER_HOUR));
}

/** Sunday is 0, as CEL has it; 1970 began on a Thursday. */
function weekday(ms: number): number {
  return whole(modulo(Math.floor(ms / MS_PER_DAY) + 4, 7));
}

function modulo(value: number, by: number): number {
  return ((value % by) + by) % by;
}

/** The first that is there; the only function that takes null for an answer. */
const coalesce: CelFunction = {
  min: 1,
  max: ARGUMENTS_MAX,
  compile: (args, node) => {
    const types = args.map(({ type }) => type);
    const type = types.reduce<StaticType | undefined>((all, next) => all && unify(all, next), types[0]);
    if (!type) throw typeFault(node, `'coalesce' is of values of one type, not ${types.map(typeName).join(', ')}`);
    const runs = args.map(({ run }) => run);
    return {
      type,
      run: (frame): FeatureValue => {
        for (const run of runs) {
          const value = run(frame);
          if (value !== null) return value;
        }
        return null;
      },
    };
  },
};

const OF_NUMBERS: Readonly<Record<string, CelFunction>> = {
  abs: likeItsNumbers(1, 1, Math.abs),
  min: likeItsNumbers(1, ARGUMENTS_MAX, Math.min),
  max: likeItsNumbers(1, ARGUMENTS_MAX, Math.max),
  clamp: likeItsNumbers(3, 3, (value: number, low: number, high: number) => Math.min(Math.max(value, low), high)),
  sqrt: ofNumber(Math.sqrt),
  log: ofNumber(Math.log),
  exp: ofNumber(Math.exp),
  round: ofNumber(round),
  pow: fixed([DOUBLE, DOUBLE], DOUBLE, Math.pow),
  isnan: fixed([DOUBLE], BOOL, Number.isNaN),
  hour: fixed([DOUBLE], INT, hour),
  weekday: fixed([DOUBLE], INT, weekday),
  coalesce,
};

/** Everything that can be called by its name; maps, as the authors of expressions choose what is looked up. */
export const FUNCTIONS: ReadonlyMap<string, CelFunction> = new Map(
  Object.entries({ ...OF_NUMBERS, ...TEXT_FUNCTIONS }),
);

/** Everything that can be called on a value: `name.startsWith("a")`. */
export const METHODS: ReadonlyMap<string, CelFunction> = new Map(Object.entries(TEXT_METHODS));

/** What CEL or the library has and expressions here have not, with the reason. */
export const REFUSED: ReadonlyMap<string, string> = new Map([
  ['matches', "'matches' may take forever on some patterns: use re2_matches(text, pattern)"],
  ['dyn', "'dyn' is refused: the type of every value is known beforehand"],
  ['type', "'type' is refused: the type of every value is known beforehand"],
  ['timestamp', "'timestamp' is refused: times are milliseconds since 1970, see hour(), weekday() and request_time"],
  ['duration', "'duration' is refused: times are milliseconds since 1970"],
]);
