import { DomainError, type FieldFault } from '@sibyl/kernel';
import { inspectOnnx } from './inspect-onnx';
import { OnnxLimits } from './onnx-limits';
import type { OnnxModel } from './onnx-model';
import { OnnxScan } from './onnx-scan';
import { varint } from './wire/encode-message';
import {
  endlessModel,
  externalDataModel,
  EXTERNAL_PLACES,
  functionBombModel,
  nestedIfModel,
} from './testing/hostile-models';
import { classifierModel, functionModel, identityModel, oldModel, zipMapModel } from './testing/models';
import { ByteWindow } from './wire/byte-window';

const SEED = 0x51b71;
const MUTANTS_EACH = 500;

const SEEDS: readonly Buffer[] = [
  identityModel('BYTES', ['N', 2]),
  classifierModel({
    weights: [
      [1, 2],
      [3, 4],
    ],
    bias: [0, 1],
    labels: ['a', 'b'],
  }),
  zipMapModel(),
  oldModel(),
  functionModel(),
  endlessModel(),
  nestedIfModel(4, 'both'),
  functionBombModel(5),
  ...EXTERNAL_PLACES.map((place) => externalDataModel({ location: 'w.bin', offset: '0', length: '8' }, place)),
];

/** Numbers that readers stumble over. */
const ODD_NUMBERS = [0, 1, 127, 128, 2 ** 31 - 1, 2 ** 31, 2 ** 32, 2n ** 62n, 2n ** 63n, -1].map((each) =>
  varint(each),
);

type Random = (below: number) => number;

/** A small generator with a seed, so that a failure can be repeated (mulberry32). */
function seeded(seed: number): Random {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

function mutate(bytes: Buffer, random: Random): Buffer {
  let mutant = bytes;
  for (let edits = 1 + random(4); edits > 0; edits--) mutant = edit(mutant, random);
  return mutant;
}

function edit(bytes: Buffer, random: Random): Buffer {
  const at = random(bytes.length + 1);
  const length = random(1 + Math.min(24, bytes.length - at));
  const rest = bytes.subarray(at + length);
  const other = SEEDS[random(SEEDS.length)] ?? bytes;
  switch (random(6)) {
    case 0:
      return Buffer.concat([bytes.subarray(0, at), Buffer.from([random(256)]), bytes.subarray(at + 1)]);
    case 1:
      return Buffer.concat([bytes.subarray(0, at), rest]);
    case 2:
      return Buffer.concat([bytes.subarray(0, at + length), bytes.subarray(at)]);
    case 3:
      return Buffer.concat([bytes.subarray(0, at), ODD_NUMBERS[random(ODD_NUMBERS.length)] ?? bytes, rest]);
    case 4:
      return Buffer.concat([bytes.subarray(0, at), other.subarray(random(other.length))]);
    default:
      return bytes.subarray(0, at);
  }
}

function outcome(work: () => OnnxModel): OnnxModel | readonly FieldFault[] {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof DomainError) || error.code !== 'model_rejected') throw error;
    return error.faults ?? [];
  }
}

/** The same inspection through a window that moves every few bytes. */
function throughSmallWindow(bytes: Buffer): OnnxModel {
  const window = new ByteWindow(bytes.length);
  const scan = new OnnxScan(window, new OnnxLimits());
  scan.start(bytes);
  for (let missing = scan.advance(); missing > 0; missing = scan.advance()) {
    window.move(scan.position, Buffer.from(bytes.subarray(scan.position, scan.position + missing)));
  }
  return scan.finish();
}

describe('inspectOnnx on mutants', () => {
  it.each(SEEDS.map((bytes, index) => ({ index, bytes })))(
    'either understands or refuses with reasons, and never anything else (seed model $index)',
    ({ index, bytes }) => {
      const random = seeded(SEED + index);
      let refused = 0;
      for (let count = 0; count < MUTANTS_EACH; count++) {
        const mutant = mutate(bytes, random);
        const whole = outcome(() => inspectOnnx(mutant));
        expect(outcome(() => throughSmallWindow(mutant))).toEqual(whole);
        if (Array.isArray(whole)) {
          refused++;
          expect(whole.length).toBeGreaterThan(0);
        } else {
          expect(JSON.parse(JSON.stringify(whole))).toEqual(whole);
        }
      }
      expect(refused).toBeGreaterThan(MUTANTS_EACH / 4);
    },
  );
});
