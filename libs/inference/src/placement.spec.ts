import { InferenceOptions } from './inference-options';
import { needsOwnRunner } from './placement';

const MIB = 1024 * 1024;

describe('needsOwnRunner', () => {
  const options = new InferenceOptions();

  it.each([
    ['what the trial measured is cheap', { loadCpuMs: 50, memoryBytes: 8 * MIB, fileBytes: MIB }, false],
    ['it takes long to load', { loadCpuMs: 51, memoryBytes: 8 * MIB, fileBytes: MIB }, true],
    ['it takes much memory', { loadCpuMs: 5, memoryBytes: 33 * MIB, fileBytes: MIB }, true],
    ['its files are large', { loadCpuMs: 5, memoryBytes: 0, fileBytes: 33 * MIB }, true],
    ['it was never tried and is small', { fileBytes: 32 * MIB }, false],
    ['it was never tried and is large', { fileBytes: 33 * MIB }, true],
  ])('where %s', (_, expected, own) => {
    expect(needsOwnRunner(expected, options)).toBe(own);
  });
});
