import { AtOnce } from './at-once';

const atOnce = (): AtOnce => new AtOnce({ what: 'backfills', inAll: 3, ofOne: 2, retryAfterSeconds: 30 });
const refused = (code: string): Error => expect.objectContaining({ code, retryAfterSeconds: 30 }) as Error;

describe('work of which only so much is done at once', () => {
  it('is refused to a key that has its share, and to everybody when there is no place', () => {
    const places = atOnce();
    places.enter('a');
    places.enter('a');
    expect(() => places.enter('a')).toThrow(refused('rate_limited'));
    places.enter('b');
    expect(() => places.enter('b')).toThrow(refused('queue_full'));
    expect(() => places.enter('c')).toThrow(refused('queue_full'));
  });

  it('gives a place back once, however often that is said', () => {
    const places = atOnce();
    const leave = places.enter('a');
    places.enter('a');
    leave();
    leave();
    places.enter('a');
    expect(() => places.enter('a')).toThrow(refused('rate_limited'));
  });
});
