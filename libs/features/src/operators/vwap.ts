// Hot: runs for every feature of every read that is not in a cache.
import type { Series } from '../engine/series';
import { MISSING, isMissing, numbersOf } from './columns';
import { setNothing, setNumber } from './computed';
import type { Computed, Operator } from './operator';
import { oneOutput, RequestReader } from './request-reader';
import { windowedOperator } from './windowed-operator';

/** Sums of volumes, and of volumes times how far prices are from the first one: equal prices then average to exactly themselves. */
class Trades {
  pivot = MISSING;
  volume = 0;
  moved = 0;

  clear(): void {
    this.pivot = MISSING;
    this.volume = 0;
    this.moved = 0;
  }

  add(price: number, volume: number): void {
    if (isMissing(price) || isMissing(volume)) return;
    if (isMissing(this.pivot)) this.pivot = price;
    this.volume += volume;
    this.moved += volume * (price - this.pivot);
  }

  merge(other: Trades): void {
    if (isMissing(other.pivot)) return;
    if (isMissing(this.pivot)) this.pivot = other.pivot;
    this.volume += other.volume;
    this.moved += other.moved + other.volume * (other.pivot - this.pivot);
  }

  finish(out: Computed): void {
    if (isMissing(this.pivot) || this.volume === 0) setNothing(out, 'NULL');
    else setNumber(out, this.pivot + this.moved / this.volume);
  }
}

const TRADES_BYTES = 56;

/**
 * Volume-weighted average price over the window: sum of price x volume by sum of volume, in the unit of the price. Of bars, give
 * the typical price or the close. An event with a null among the two is passed over; no event or no volume is NULL.
 */
export const vwap: Operator = {
  name: 'vwap',
  inputs: ['price', 'volume'],
  params: [],
  compile(request) {
    const reader = new RequestReader(vwap, request);
    const columns = { price: reader.numeric(0), volume: reader.numeric(1) };
    const trades = new Trades();
    const add = (sum: Trades, series: Series, index: number): Trades => {
      const price = numbersOf(series, columns.price)[index] ?? MISSING;
      sum.add(price, numbersOf(series, columns.volume)[index] ?? MISSING);
      return sum;
    };
    return windowedOperator<Trades>(
      reader,
      oneOutput('double'),
      (series, from, out, keep) => {
        trades.clear();
        for (let index = from; index < series.end; index++) {
          if (keep === undefined || keep(index)) add(trades, series, index);
        }
        trades.finish(out);
      },
      {
        empty: () => new Trades(),
        add,
        finish(sums, out) {
          trades.clear();
          for (const sum of sums) trades.merge(sum);
          trades.finish(out);
        },
        bytes: () => TRADES_BYTES,
      },
    );
  },
};
