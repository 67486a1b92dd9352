import { parseGpuReadings } from './gpu-reading';

describe('parseGpuReadings', () => {
  it('leaves out what a GPU does not tell', () => {
    const line = '0, GPU-a, NVIDIA A100 MIG 1g.5gb, [N/A], [Insufficient Permissions], 40960, [Not Supported], [N/A]';
    expect(parseGpuReadings(line)).toEqual([
      { index: 0, uuid: 'GPU-a', name: 'NVIDIA A100 MIG 1g.5gb', memoryTotalBytes: 40960 * 2 ** 20 },
    ]);
  });

  it.each(['9223372036854775808', '-1', 'NaN', '0x10', '1e400', 'ERR!', ''])(
    'does not take %j for a number',
    (field) => {
      const [reading] = parseGpuReadings(`0, GPU-a, A, ${field}, 1, 2, 3, ${field}`);
      expect(reading).toEqual({
        index: 0,
        uuid: 'GPU-a',
        name: 'A',
        memoryUsedBytes: 2 ** 20,
        memoryTotalBytes: 2 ** 21,
        temperatureCelsius: 3,
      });
    },
  );

  it('reads each GPU on its line, names with commas too, and no more than 64', () => {
    const lines = Array.from({ length: 70 }, (_, i) => `${i}, GPU-${i}, A, B, 1, 2, 3, 4, 5`).join('\n');
    const readings = parseGpuReadings(lines);
    expect(readings).toHaveLength(64);
    expect(readings[1]).toMatchObject({ index: 1, name: 'A, B', powerWatts: 5 });
  });

  it.each([
    '',
    'No devices were found',
    '0, "}\n, A, 1, 2, 3, 4, 5',
    'x, GPU-a, A, 1, 2, 3, 4, 5',
    '0, GPU-a, 1, 2, 3, 4, 5',
  ])('makes nothing of %j', (text) => {
    expect(parseGpuReadings(text)).toEqual([]);
  });
});
