import { fillMissing } from './missing-features';
import type { FeatureSlot } from './model-contract';

it('names what has no value, and nothing else', () => {
  const slots = ['known', 'missing', 'other'].map((name) => ({ name, datatype: 'FP32', mayBeAbsent: false }));
  expect(() => fillMissing(slots as unknown as FeatureSlot[], new Map([['known', 1]]), '/features')).toThrow(
    expect.objectContaining({
      code: 'incomplete_features',
      message: 'Missing features: missing, other.',
      faults: [
        { pointer: '/features/missing', expected: 'FP32', received: 'nothing' },
        { pointer: '/features/other', expected: 'FP32', received: 'nothing' },
      ],
    }),
  );
});
