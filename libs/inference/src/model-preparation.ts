import type { Clock } from '@sibyl/kernel';
import { FRAME_TYPES, frameTensors, type LoadMessage, type FramedTensor, type Tensor } from '@sibyl/protocol';
import path from 'node:path';
import { mayComeFromOutside } from './blame';
import { PREPARED_MODEL } from './prepared-store';
import { BoundedRunner, type RunnerBounds } from './bounded-runner';
import { RunnerLostError, type Runner, type RunnerSettings } from './runner';
import { loadedMessage } from './session-loader';

const [PLAIN, PREPARED] = [1, 2];
const NICENESS = 10;

/** Has a process of its own save a model with its prepacked weights, and finds out whether that answers as the model does. */
export class ModelPreparation {
  private readonly bounded: BoundedRunner;

  constructor(settings: RunnerSettings, clock: Clock, bounds: RunnerBounds) {
    this.bounded = new BoundedRunner({ ...settings, niceness: NICENESS }, clock, bounds);
  }

  /** Whether what lies in `folder` afterwards gives the same answers, bit for bit. Throws where nothing could be saved. */
  async run(
    model: LoadMessage,
    folder: string,
    samples: readonly (readonly Tensor[])[],
  ): Promise<{ readonly usable: boolean }> {
    return this.bounded.during(async (runner, limitAt) => {
      await runner.started(limitAt);
      const expected = await this.answers(runner, PLAIN, { ...model, saveTo: folder }, samples, limitAt);
      await runner.call(FRAME_TYPES.unload, PLAIN, {}, limitAt);
      const saved = { ...model, path: path.join(folder, PREPARED_MODEL), prepared: true };
      const found = await this.answers(runner, PREPARED, saved, samples, limitAt).catch(ofNoUse);
      return { usable: expected.length > 0 && same(expected, found) };
    });
  }

  stop(): void {
    this.bounded.stop();
  }

  /** What it answers to the samples that it can run. */
  private async answers(
    runner: Runner,
    session: number,
    message: LoadMessage,
    samples: readonly (readonly Tensor[])[],
    limitAt: number,
  ): Promise<FramedTensor[][]> {
    const loaded = loadedMessage(await runner.call(FRAME_TYPES.load, session, message, limitAt));
    const names = loaded.inputs.map((input) => input.name);
    const answers: FramedTensor[][] = [];
    for (const inputs of samples) {
      const frame = await runner.run(session, inputs, names, limitAt);
      if (frame.type === FRAME_TYPES.outputs) answers.push(frameTensors(frame));
    }
    return answers;
  }
}

/** The saved model does not load, or ends its process: as good as a wrong answer. What others ended says nothing about it. */
function ofNoUse(error: unknown): [] {
  const lost = error instanceof RunnerLostError ? error.end : undefined;
  if (lost !== undefined && (lost.reason !== 'crashed' || mayComeFromOutside(lost))) throw error;
  return [];
}

function same(a: readonly (readonly FramedTensor[])[], b: readonly (readonly FramedTensor[])[]): boolean {
  if (a.length !== b.length) return false;
  return a.every((tensors, i) => {
    const others = b[i] ?? [];
    return tensors.length === others.length && tensors.every((tensor, at) => sameTensor(tensor, others[at]));
  });
}

function sameTensor(a: FramedTensor, b: FramedTensor | undefined): boolean {
  if (b === undefined || a.datatype !== b.datatype || a.shape.join() !== b.shape.join()) return false;
  if (Array.isArray(a.data) || Array.isArray(b.data)) return JSON.stringify(a.data) === JSON.stringify(b.data);
  return bytesOf(a.data).equals(bytesOf(b.data));
}

function bytesOf(data: NodeJS.ArrayBufferView): Buffer {
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
}
