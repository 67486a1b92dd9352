// node examples/features/transactions.mjs: a month of three cards up to now, and who holds them, a line each. card-3 has been used five
// times in the last minutes.
import { generator } from './generator.mjs';

const HOUR = 3_600_000;
const now = Date.now();
const random = generator(11);
const MERCHANTS = ['grocer', 'books', 'fuel', 'cafe'];

function line(stream, entity, event_time, values, event_id) {
  console.log(JSON.stringify({ stream, entity, event_time, event_id, values }));
}

for (const [i, card] of ['card-1', 'card-2', 'card-3'].entries()) {
  line('card_profile', card, now - 40 * 24 * HOUR, { home: 'DE', credit_limit: 1000 * (i + 1) });
  for (let hour = 30 * 24; hour > 1; hour -= 12) {
    const amount = Math.round(2000 + random() * 8000) / 100;
    const merchant = MERCHANTS[Math.floor(random() * MERCHANTS.length)];
    line('tx', card, now - hour * HOUR, { amount, merchant, country: 'DE', ok: true }, `${card}-${hour}`);
  }
}
for (let i = 5; i > 0; i--)
  line('tx', 'card-3', now - i * 60_000, { amount: 400, merchant: `shop-${i}`, country: 'RO', ok: true }, `rush-${i}`);
