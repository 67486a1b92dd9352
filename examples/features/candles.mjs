// node examples/features/candles.mjs: two hours of candles of one minute up to now, a line each, the same walk each time.
import { generator } from './generator.mjs';

const MINUTE = 60_000;
const newest = Math.floor(Date.now() / MINUTE) * MINUTE;
const random = generator(7);
let price = 45_000;
for (let bar = 119; bar >= 0; bar--) {
  const open = price;
  price *= 1 + (random() - 0.49) / 200;
  const values = {
    open,
    high: Math.max(open, price) * (1 + random() / 1000),
    low: Math.min(open, price) * (1 - random() / 1000),
    close: price,
    volume: Math.round(1_000_000 * (0.5 + random())),
  };
  const event_time = new Date(newest - bar * MINUTE).toISOString();
  console.log(JSON.stringify({ entity: 'BTC/USDT', event_time, values }));
}
