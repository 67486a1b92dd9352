import { DomainError } from '@sibyl/kernel';
import { decodeDynamicRow } from './dynamic-row';
import { FeatureRows } from './feature-rows';
import { compileContract } from './model-contract';
import { RequestFaults } from './request-faults';
import { decodeTensorInputs } from './tensor-inputs';

/** Known names that count how often they are asked, and how often one is taken out for a comparison. */
class CountedNames extends Set<string> {
  asked = 0;
  compared = 0;

  override has(name: string): boolean {
    this.asked++;
    return super.has(name);
  }

  override *[Symbol.iterator](): SetIterator<string> {
    for (const name of super[Symbol.iterator]()) {
      this.compared++;
      yield name;
    }
  }
}

const MANY = Array.from({ length: 400_000 }, (_, i) => `f${i}`);

function errorOf(work: () => unknown): DomainError {
  try {
    work();
  } catch (error) {
    if (error instanceof DomainError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('RequestFaults', () => {
  it('looks at no more unknown names than an error lists, and compares few of them', () => {
    const known = new CountedNames(['features', 'rsi', 'f1x']);
    const faults = new RequestFaults();
    faults.unknown('/features', MANY, known);
    expect(faults.error().faults).toHaveLength(64);
    expect(known.asked).toBe(64);
    expect(known.compared).toBeLessThanOrEqual(8 * known.size);
  });

  it('compares with so many known names only', () => {
    const known = new CountedNames(Array.from({ length: 100_000 }, (_, i) => `feature_${i}`));
    const faults = new RequestFaults();
    faults.unknown('', ['feature_x'], known);
    expect(known.compared).toBeLessThan(1000);
    expect(faults.error().faults?.[0]?.hint).toMatch(/^nearest known field: feature_\d$/);
  });

  it('names what was probably meant, passes over known names, and shortens long ones', () => {
    const faults = new RequestFaults();
    faults.unknown('/f', ['rsi', 'rsl', `${'x'.repeat(1_000_000)}`], new Set(['rsi']));
    const error = faults.error();
    expect(error.detail).toBe("Unknown field 'rsl'. Did you mean 'rsi'?");
    expect(error.faults).toEqual([
      { pointer: '/f/rsl', hint: 'nearest known field: rsi' },
      { pointer: `/f/${'x'.repeat(100)}…` },
    ]);
  });

  it('lists unknown names behind faults of another kind, and answers with their code', () => {
    const faults = new RequestFaults();
    faults.add('input_type_mismatch', 'wrong', { pointer: '/f/a' });
    faults.unknown('/f', MANY, new Set(['a']));
    const error = faults.error();
    expect(error.code).toBe('unknown_field');
    expect(error.detail).toContain("'f0'");
    expect(error.faults).toHaveLength(64);
  });

  it('bounds the faults of features and of tensors', () => {
    const contract = compileContract([{ name: 'x', datatype: 'FP32', shape: [-1, 2], columns: ['a', 'b'] }], []);
    const known = new CountedNames(contract.slotNames);
    const counted = { ...contract, slotNames: known };
    const body = Object.fromEntries(MANY.map((name) => [name, 1]));
    for (const work of [
      () => new FeatureRows(counted, 1).add(body, ''),
      () => decodeDynamicRow(counted, body, () => ({}), ''),
      () => decodeTensorInputs(counted, body, ''),
    ])
      expect(errorOf(work)).toMatchObject({ code: 'unknown_field', faults: { length: 64 } });
    expect(known.asked).toBe(2 * 64);
  });
});
