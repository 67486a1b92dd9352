import type { Frame, SetSelection } from '@sibyl/features';
import { LastingBasis, PredictionBasis } from './feature-basis';

const AT = 1_000_000_000;
const selection = { members: [], programs: [], reference: 's@h' } as unknown as SetSelection;
const basis = (stream: string, entity: string, seconds: number): object => ({
  ...{ stream, entity, eventTime: AT - seconds * 1e6, eventId: 'id', arrived: AT },
});

it('the record of a prediction tells each age once: views may share a stream, by one key or by several', () => {
  const frames = [
    { basis: [basis('profile', 'a', 1), basis('tx', 'a', 2), basis('quiet', 'a', Number.NaN)] },
    { basis: [basis('profile', 'a', 1), basis('profile', 'say "b"', 6)] },
  ] as unknown as Frame[];
  const json = new PredictionBasis(new LastingBasis(selection, frames), AT, undefined).json();
  const ages = /"ages":(\{.*?\}),/.exec(json)?.[1] ?? '';
  expect(ages).toBe('{"profile":1,"tx":2,"profile@say \\"b\\"":6}');
  expect(() => JSON.parse(json) as unknown).not.toThrow();
});
