import { atr } from './atr';
import { bollinger } from './bollinger';
import { count, rate } from './count';
import { distinctCount } from './distinct-count';
import { ema } from './ema';
import { max, min } from './extremes';
import { lag } from './lag';
import { last } from './last';
import { lastN } from './last-n';
import { macd } from './macd';
import { mean } from './mean';
import { obv } from './obv';
import type { Operator } from './operator';
import { median, quantile } from './quantile';
import { logReturns, returns } from './returns';
import { rsi } from './rsi';
import { std, variance, zscore } from './spread';
import { sum } from './sum';
import { timeSinceLast } from './time-since-last';
import { vwap } from './vwap';
import { wilder } from './wilder';

const ALL: readonly Operator[] = [
  last,
  lag,
  lastN,
  count,
  sum,
  mean,
  min,
  max,
  std,
  variance,
  median,
  quantile,
  zscore,
  ema,
  wilder,
  rsi,
  macd,
  bollinger,
  atr,
  obv,
  vwap,
  returns,
  logReturns,
  distinctCount,
  timeSinceLast,
  rate,
];

/** Every operator that a definition can name. */
export const OPERATORS: ReadonlyMap<string, Operator> = new Map(ALL.map((operator) => [operator.name, operator]));
