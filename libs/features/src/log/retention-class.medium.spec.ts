import { LogStand } from '../testing/log-stand';
import { DAY, streamDefinition } from '../testing/stream-definition';
import { cutBegin } from './retention-class';

let stand: LogStand;

beforeAll(async () => {
  stand = await LogStand.open();
});
afterAll(() => stand.close());

it.each([30, 200, 900, 3000])('cuts of a stream that keeps %d days begin where they are made to', async (days) => {
  const name = `kept_${days}`;
  await stand.addStream(streamDefinition({ name, retention: days * DAY }));
  const { retentionClass = -1 } = stand.streams.kept(name) ?? {};
  const now = Date.now() * 1000;
  for (let i = 0; i < 12; i++) {
    const at = Math.floor(now - (days * DAY * i) / 12);
    const [cut] = await stand.database.query<{ from_time: string }>(
      'SELECT from_time FROM features.ensure_period($1::smallint, $2::bigint)',
      [retentionClass, at],
    );
    expect(cutBegin(retentionClass, at)).toBe(Number(cut?.from_time));
  }
});
