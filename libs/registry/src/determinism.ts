import type { Tensor } from '@sibyl/protocol';

/** Runs that are repeated, and where their first answers are. */
export interface RepeatProbes {
  readonly inputs: readonly (readonly Tensor[])[];
  readonly first: (answers: Answers) => readonly (readonly Tensor[] | undefined)[];
}

interface Answers {
  readonly outputs: readonly (readonly Tensor[])[];
  readonly probes: readonly (readonly Tensor[] | undefined)[];
}

/** What is random shows at once; each repeat costs a run. */
const REPEATS = 2;

/** Repeats of the first samples, or of the first probe where there are none. */
export function repeatProbes(
  samples: readonly (readonly Tensor[])[],
  probes: readonly (readonly Tensor[])[],
): RepeatProbes {
  return samples.length > 0
    ? { inputs: samples.slice(0, REPEATS), first: ({ outputs }) => outputs.slice(0, REPEATS) }
    : { inputs: probes.slice(0, 1), first: ({ probes: answers }) => answers.slice(0, 1) };
}

/** Outputs that came with other bytes the second time; undefined where nothing could be compared. */
export function unlikeOutputs(
  first: readonly (readonly Tensor[] | undefined)[],
  second: readonly (readonly Tensor[] | undefined)[],
): string[] | undefined {
  const unlike = new Set<string>();
  let compared = 0;
  first.forEach((before, run) => {
    const after = second[run];
    if (!before || !after) return;
    compared++;
    for (const tensor of before)
      if (
        !sameBytes(
          tensor,
          after.find(({ name }) => name === tensor.name),
        )
      )
        unlike.add(tensor.name);
  });
  return compared === 0 ? undefined : [...unlike];
}

function sameBytes(a: Tensor, b: Tensor | undefined): boolean {
  if (!b || a.datatype !== b.datatype || a.shape.join() !== b.shape.join()) return false;
  const { data } = b;
  if (Array.isArray(a.data) || Array.isArray(data))
    return Array.isArray(a.data) && a.data.every((element, i) => element === data[i]);
  return bytesOf(a.data).equals(bytesOf(data));
}

function bytesOf(view: ArrayBufferView): Buffer {
  return Buffer.from(view.buffer, view.byteOffset, view.byteLength);
}
