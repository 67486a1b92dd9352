import {
  ANYTHING,
  listOf,
  number,
  object,
  orNull,
  ref,
  text,
  truth,
  whole,
  type Schema,
  type Schemas,
} from '../docs/schema';

function changesOf(item: Schema): Schema {
  const changed = object({ name: text(), from: item, to: item });
  return object({ added: listOf(item), removed: listOf(item), changed: listOf(changed) });
}

const TENSOR = object({
  name: text(),
  datatype: text(),
  'shape?': listOf(whole('-1 is any size')),
  'columns?': listOf(text()),
});
const FEATURE = object(
  { name: text(), datatype: text(), required: truth('A request that leaves it out is refused'), nullable: truth() },
  { additionalProperties: true },
);
const VALUES: Schema = {
  type: 'object',
  additionalProperties: object({ from: {}, to: {}, 'difference?': number() }),
};
const NUMBERS = object({ from: orNull(number()), to: orNull(number()), 'difference?': number('`to` less `from`') });

export const DIFF_SCHEMAS: Schemas = {
  VersionDiff: object({
    name: text(),
    version: text('Called `to` below'),
    against: text('The version that it is compared with, called `from` below'),
    digest: object({ from: text(), to: text(), same: truth() }),
    status: object({ from: text(), to: text() }),
    breaking: listOf(ref('BreakingChange')),
    signature: object({ inputs: changesOf(TENSOR), outputs: changesOf(TENSOR) }),
    features: changesOf(FEATURE),
    answers: { ...VALUES, description: 'Task, feature set, classes and members of the decision that differ' },
    metrics: { ...VALUES, description: 'Metrics of both manifests, those that are equal too' },
    size: object({ package_bytes: NUMBERS, model_bytes: NUMBERS }),
    latency: {
      ...object({
        median_run_ms: NUMBERS,
        load_ms: NUMBERS,
        batches: listOf(object({ rows: whole(), median_ms: NUMBERS })),
      }),
      description: 'As the trial of each validation measured it',
    },
    memory_bytes: NUMBERS,
    golden: object({
      method: text('`replay`: both were run anew on the golden samples of both', { enum: ['replay'] }),
      compared: whole('Samples that both answered'),
      skipped: whole('Samples that one of them could not compute'),
      differing: whole('Samples with a value that differs'),
      outputs: listOf(object({ name: text(), values: whole(), differing: whole(), largest_difference: number() })),
      examples: listOf(ANYTHING),
      'reason?': text('Why nothing was compared'),
    }),
  }),
};

const NOTHING = { added: [], removed: [], changed: [] };

export const DIFF_EXAMPLE = {
  name: 'momentum',
  version: '1.3.0',
  against: '1.2.3',
  digest: { from: `sha256:${'3'.repeat(64)}`, to: `sha256:${'7'.repeat(64)}`, same: false },
  status: { from: 'active', to: 'validated' },
  breaking: [],
  signature: { inputs: NOTHING, outputs: NOTHING },
  features: NOTHING,
  answers: {},
  metrics: { accuracy: { from: 0.6671, to: 0.7044, difference: 0.0373 } },
  size: {
    package_bytes: { from: 260_113, to: 410_871, difference: 150_758 },
    model_bytes: { from: 251_332, to: 402_004, difference: 150_672 },
  },
  latency: {
    median_run_ms: { from: 0.21, to: 0.28, difference: 0.07 },
    load_ms: { from: 11.5, to: 14.2, difference: 2.7 },
    batches: [{ rows: 32, median_ms: { from: 0.8, to: 1.1, difference: 0.3 } }],
  },
  memory_bytes: { from: 4_210_688, to: 6_356_992, difference: 2_146_304 },
  golden: {
    method: 'replay',
    compared: 32,
    skipped: 0,
    differing: 32,
    outputs: [
      { name: 'label', values: 32, differing: 4, largest_difference: 0 },
      { name: 'probabilities', values: 96, differing: 96, largest_difference: 0.31 },
    ],
    examples: [{ source: 'from', sample: 0, output: 'probabilities', index: 0, from: '0.1204', to: '0.1811' }],
  },
};
