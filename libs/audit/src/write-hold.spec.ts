import { FakeClock } from '@sibyl/kernel/testing';
import { WriteHold } from './write-hold';

describe('WriteHold', () => {
  beforeEach(() => jest.useFakeTimers());
  afterEach(() => jest.useRealTimers());

  function aHold(
    expecting: (() => number) | undefined,
    fraction = 1,
  ): { hold: WriteHold; clock: FakeClock; wake: jest.Mock } {
    const clock = new FakeClock();
    const wake = jest.fn();
    return { hold: new WriteHold(clock, expecting, fraction, wake), clock, wake };
  }

  it('never waits when nobody says what is coming, or waiting is switched off', () => {
    expect(aHold(undefined).hold.begin(1, 10)).toBe(false);
    expect(aHold(() => 100, 0).hold.begin(1, 10)).toBe(false);
  });

  it('waits while more than a quarter of those here are still coming, and not a commit longer', () => {
    let coming = 5;
    const { hold } = aHold(() => coming);
    expect(hold.begin(1, 10)).toBe(true);
    expect(hold.holding).toBe(true);
    expect(hold.over(2)).toBe(false);
    coming = 2;
    expect(hold.over(7)).toBe(false);
    expect(hold.over(8)).toBe(true);
    expect(hold.begin(8, 10)).toBe(false);
  });

  it('wakes the writer after its part of the time of a write, though nobody came', () => {
    const { hold, wake } = aHold(() => 100, 0.5);
    expect(hold.begin(1, 20)).toBe(true);
    jest.advanceTimersByTime(9);
    expect(wake).not.toHaveBeenCalled();
    jest.advanceTimersByTime(1);
    expect(wake).toHaveBeenCalledTimes(1);
    expect(hold.begin(1, 20)).toBe(false);
    expect(hold.begin(1, 20)).toBe(true);
  });

  it('ends at the first commit past its time, when the timer is late', () => {
    const { hold, clock } = aHold(() => 100);
    hold.begin(1, 10);
    clock.advance(11);
    expect(hold.over(2)).toBe(true);
  });
});
