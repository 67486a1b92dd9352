import { DATATYPES, TYPED_ARRAYS, type Datatype, type TensorData } from './datatype';
import { FrameDecoder, frameMessage, frameTensors, type FramedTensor, type RunnerFrame } from './frame-decoder';
import { FrameEncoder } from './frame-encoder';
import { FRAME_HEADER_BYTES, FRAME_TYPES, FrameError } from './runner-frame';

const LIMIT = 1024 * 1024;

interface Given {
  readonly datatype: Datatype;
  readonly shape: readonly number[];
  readonly data: TensorData;
}

function encode(tensors: readonly Given[], encoder = new FrameEncoder(LIMIT)): Uint8Array {
  encoder.begin(FRAME_TYPES.run, 513, 4_000_000_000);
  tensors.forEach((tensor, index) => {
    encoder.openTensor(index, tensor.datatype, tensor.shape);
    encoder.append(tensor.data);
    encoder.closeTensor();
  });
  return Uint8Array.from(encoder.end());
}

function decodeOne(bytes: Uint8Array): RunnerFrame {
  const decoder = new FrameDecoder(LIMIT);
  decoder.push(bytes);
  return decoder.next()!;
}

const decode = (bytes: Uint8Array): FramedTensor[] => frameTensors(decodeOne(bytes));

function samplesOf(datatype: Datatype): TensorData {
  if (datatype === 'BYTES') return ['', 'ä', 'longer than eight bytes', '𝄞', 'x\u0000y', '\n'];
  const array = new TYPED_ARRAYS[datatype](6);
  const bytes = new Uint8Array(array.buffer);
  for (let i = 0; i < bytes.length; i++) bytes[i] = (i * 37 + 11) % 251;
  return array;
}

describe('runner frames', () => {
  it.each(DATATYPES)('%s comes back bit for bit', (datatype) => {
    const data = samplesOf(datatype);
    const [tensor] = decode(encode([{ datatype, shape: [2, 3], data }]));
    expect(tensor).toEqual({ index: 0, datatype, shape: [2, 3], data });
  });

  it('keeps header, order and shapes of several tensors, scalars and empty ones among them', () => {
    const tensors: Given[] = [
      { datatype: 'UINT8', shape: [3], data: Uint8Array.of(1, 2, 3) },
      { datatype: 'INT64', shape: [], data: BigInt64Array.of(-(2n ** 63n)) },
      { datatype: 'FP32', shape: [0, 7], data: new Float32Array(0) },
      { datatype: 'BYTES', shape: [0], data: [] },
      { datatype: 'FP64', shape: [2], data: Float64Array.of(Number.NaN, -0) },
    ];
    const frame = decodeOne(encode(tensors));
    expect(frame).toMatchObject({ type: FRAME_TYPES.run, session: 513, request: 4_000_000_000, count: 5 });
    expect(frameTensors(frame)).toEqual(tensors.map((tensor, index) => ({ index, ...tensor })));
  });

  it('joins the rows of several requests under one leading dimension', () => {
    const encoder = new FrameEncoder(LIMIT);
    encoder.begin(FRAME_TYPES.run, 1, 1);
    encoder.openTensor(0, 'FP32', [1, 2], 3);
    encoder.append(Float32Array.of(1, 2));
    encoder.append(Float32Array.of(3, 4, 5, 6));
    encoder.closeTensor();
    encoder.openTensor(1, 'BYTES', [1], 3);
    encoder.append(['a']);
    encoder.append(['bc', 'd']);
    encoder.closeTensor();
    const [numbers, texts] = decode(encoder.end());
    expect(numbers).toMatchObject({ shape: [3, 2], data: Float32Array.of(1, 2, 3, 4, 5, 6) });
    expect(texts).toMatchObject({ shape: [3], data: ['a', 'bc', 'd'] });
  });

  it('gives views of the received bytes, without a copy, when a frame arrives whole', () => {
    const bytes = encode([{ datatype: 'FP32', shape: [2], data: Float32Array.of(1, 2) }]);
    const data = decode(bytes)[0]!.data as Float32Array;
    expect(data.buffer).toBe(bytes.buffer);
  });

  it('reads the same frames however the stream is cut', () => {
    const first = encode([{ datatype: 'INT16', shape: [3], data: Int16Array.of(1, 2, 3) }]);
    const second = encode([{ datatype: 'BYTES', shape: [2], data: ['one', 'two'] }]);
    const stream = Buffer.concat([first, second, first]);
    for (let size = 1; size <= stream.length; size++) {
      const decoder = new FrameDecoder(LIMIT);
      const seen: unknown[] = [];
      for (let at = 0; at < stream.length; at += size) {
        decoder.push(stream.subarray(at, at + size));
        for (let frame = decoder.next(); frame; frame = decoder.next()) seen.push(frameTensors(frame)[0]!.data);
      }
      expect(seen).toEqual([Int16Array.of(1, 2, 3), ['one', 'two'], Int16Array.of(1, 2, 3)]);
      expect(decoder.missingBytes).toBe(0);
    }
  });

  it('says how much of a frame is missing', () => {
    const bytes = encode([{ datatype: 'FP32', shape: [2], data: Float32Array.of(1, 2) }]);
    const decoder = new FrameDecoder(LIMIT);
    decoder.push(bytes.subarray(0, 4));
    expect(decoder.missingBytes).toBe(FRAME_HEADER_BYTES - 4);
    decoder.push(bytes.subarray(4, 20));
    expect(decoder.missingBytes).toBe(bytes.length - 20);
    expect(decoder.next()).toBeUndefined();
  });

  it('carries JSON of any length', () => {
    const encoder = new FrameEncoder(LIMIT);
    for (const message of [{}, { path: '/ä'.repeat(50_000) }]) {
      const frame = decodeOne(Uint8Array.from(encoder.message(FRAME_TYPES.load, 7, 9, message)));
      expect(frame).toMatchObject({ type: FRAME_TYPES.load, session: 7, request: 9 });
      expect(frameMessage(frame)).toEqual(message);
    }
  });

  it('writes many frames into one memory and gives large memory back', () => {
    const encoder = new FrameEncoder(8 * LIMIT);
    const big = { datatype: 'UINT8', shape: [3 * LIMIT], data: new Uint8Array(3 * LIMIT) } as const;
    encode([big], encoder);
    encoder.begin(FRAME_TYPES.run, 1, 1);
    expect(encoder.end().buffer.byteLength).toBeLessThan(LIMIT);
  });

  describe('refuses', () => {
    const encoder = new FrameEncoder(LIMIT);
    const open = (datatype: Datatype, shape: readonly number[]): FrameEncoder => {
      encoder.begin(FRAME_TYPES.run, 1, 1);
      encoder.openTensor(0, datatype, shape);
      return encoder;
    };

    it('to write more or fewer elements than the shape holds', () => {
      expect(() => open('FP32', [2]).append(new Float32Array(3))).toThrow(FrameError);
      expect(() => open('FP32', [2]).closeTensor()).toThrow(FrameError);
      expect(() => open('BYTES', [2]).append(['a', 'b', 'c'])).toThrow(FrameError);
    });

    it('to write elements of another datatype', () => {
      expect(() => open('FP32', [2]).append(new Float64Array(2))).toThrow(FrameError);
      expect(() => open('FP32', [2]).append(['a', 'b'])).toThrow(FrameError);
      expect(() => open('BYTES', [2]).append(new Uint8Array(2))).toThrow(FrameError);
    });

    it('to write impossible shapes and frames over the limit', () => {
      expect(() => open('FP32', new Array<number>(17).fill(1))).toThrow(FrameError);
      expect(() => open('FP32', [-1])).toThrow(FrameError);
      expect(() => open('FP32', [2 ** 40, 2 ** 40])).toThrow(FrameError);
      expect(() => open('FP32', [LIMIT])).toThrow(FrameError);
      expect(() => open('BYTES', [1]).append(['x'.repeat(LIMIT)])).toThrow(FrameError);
    });

    const valid = encode([{ datatype: 'FP32', shape: [2], data: Float32Array.of(1, 2) }]);
    const broken = (change: (bytes: Buffer) => void): Uint8Array => {
      const bytes = Buffer.from(valid);
      change(bytes);
      return bytes;
    };

    it.each<[string, (bytes: Buffer) => void]>([
      ['a length below the header', (bytes) => bytes.writeUInt32LE(8, 0)],
      ['a length that is no multiple of 8', (bytes) => bytes.writeUInt32LE(41, 0)],
      ['a length over the limit', (bytes) => bytes.writeUInt32LE(LIMIT + 8, 0)],
      ['type 0', (bytes) => bytes.writeUInt8(0, 4)],
      ['type 13', (bytes) => bytes.writeUInt8(13, 4)],
    ])('to read a frame with %s', (_, change) => {
      const decoder = new FrameDecoder(LIMIT);
      expect(() => decoder.push(broken(change))).toThrow(FrameError);
    });

    it.each<[string, (bytes: Buffer) => void]>([
      ['an unknown datatype', (bytes) => bytes.writeUInt8(99, 16)],
      ['rank 17', (bytes) => bytes.writeUInt8(17, 17)],
      ['a shape that is cut off', (bytes) => bytes.writeUInt8(16, 17)],
      ['data that is cut off', (bytes) => bytes.writeUInt32LE(64, 20)],
      ['more tensors than it holds', (bytes) => bytes.writeUInt32LE(2, 12)],
      ['a negative dimension', (bytes) => bytes.writeDoubleLE(-2, 24)],
      ['a fraction as dimension', (bytes) => bytes.writeDoubleLE(0.5, 24)],
      ['an infinite dimension', (bytes) => bytes.writeDoubleLE(Number.POSITIVE_INFINITY, 24)],
      ['fewer elements than its shape', (bytes) => bytes.writeDoubleLE(3, 24)],
      [
        'a string count that cannot be',
        (bytes) => {
          bytes.writeUInt8(DATATYPES.indexOf('BYTES'), 16);
          bytes.writeDoubleLE(2 ** 40, 24);
        },
      ],
    ])('to read a tensor with %s', (_, change) => {
      expect(() => frameTensors(decodeOne(broken(change)))).toThrow(FrameError);
    });

    it('to read strings that are cut off or do not fill their tensor', () => {
      const strings = Buffer.from(encode([{ datatype: 'BYTES', shape: [2], data: ['abcd', 'efgh'] }]));
      const firstLengthAt = FRAME_HEADER_BYTES + 8 + 8;
      const long = Buffer.from(strings);
      long.writeUInt32LE(400, firstLengthAt);
      expect(() => decode(long)).toThrow('cut off');
      const beyond = Buffer.from(strings);
      beyond.writeUInt32LE(9, firstLengthAt);
      expect(() => decode(beyond)).toThrow('cut off');
      const short = Buffer.from(strings);
      short.writeDoubleLE(1, FRAME_HEADER_BYTES + 8);
      expect(() => decode(short)).toThrow('do not fill');
    });

    it('to read a message that is longer than its frame or no JSON', () => {
      const bytes = Buffer.from(encoder.message(FRAME_TYPES.load, 1, 1, { a: 1 }));
      const long = Buffer.from(bytes);
      long.writeUInt32LE(1000, 12);
      expect(() => frameMessage(decodeOne(long))).toThrow('longer than its frame');
      bytes.write('?', FRAME_HEADER_BYTES);
      expect(() => frameMessage(decodeOne(bytes))).toThrow('not JSON');
    });
  });
});
