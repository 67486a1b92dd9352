// What is measured: a package, the rows that callers send, and the bodies in which they send them.
import fs from 'node:fs';
import path from 'node:path';
import { REPOSITORY } from '../support/server.mjs';
import { convolutionPackage, densePackage, numbers, slowPackage } from './generated-models.mjs';

const DIGITS = 6; // as many as a client would send of a float32
const GENERATED_ROWS = 24;

function rounded(value) {
  if (Array.isArray(value)) return value.map(rounded);
  return value === null ? null : Number(value.toPrecision(DIGITS));
}

/** Real inputs where the package has samples, else random ones of the right shape. */
function rowsOf(folder, input) {
  const golden = path.join(folder, 'golden.json');
  if (fs.existsSync(golden)) {
    const { samples } = JSON.parse(fs.readFileSync(golden, 'utf8'));
    return samples.flatMap((sample) => sample.inputs[input.name]).map(rounded);
  }
  const random = numbers(5);
  const nested = ([size, ...rest]) => Array.from({ length: size }, () => (rest.length ? nested(rest) : random()));
  return Array.from({ length: GENERATED_ROWS }, () => rounded(nested(input.shape.slice(1))));
}

/** One model under test. */
export class Subject {
  constructor(label, folder) {
    this.label = label;
    this.folder = folder;
    this.manifest = JSON.parse(fs.readFileSync(path.join(folder, 'sibyl.json'), 'utf8'));
    this.name = this.manifest.name;
    this.input = this.manifest.inputs[0];
    this.rows = rowsOf(folder, this.input);
  }

  get modelFile() {
    return path.join(this.folder, 'model.onnx');
  }

  /** One request a row: `tensors` by the name of the input, `features` by the names of its columns. */
  requests(body, headers) {
    const { name, input } = this;
    const { columns } = input;
    const requestOf = {
      tensors: (row) => ({ path: `/models/${name}/predict`, body: { inputs: { [input.name]: [row] } } }),
      features: (row) => ({
        path: '/predict',
        body: { model: name, features: Object.fromEntries(columns.map((column, i) => [column, row[i]])) },
      }),
    }[body];
    return this.rows.map((row) => {
      const request = requestOf(row);
      return { path: request.path, headers, body: JSON.stringify(request.body) };
    });
  }
}

const KEPT = path.join(REPOSITORY, 'test/bench/models');
const EXAMPLES = path.join(REPOSITORY, 'examples/models');

/** The bench's own model: 200 trees of depth 6 on 30 features. */
export function treeSubject() {
  return new Subject('tree', path.join(KEPT, 'fraud_transactions-3.1.0'));
}

export function denseSubject(scratch) {
  return new Subject('dense 38 MB', densePackage(scratch));
}

export function convolutionSubject(scratch) {
  return new Subject('convolution', convolutionPackage(scratch));
}

/** A model that is so slow that one generator can come ten times as often as it answers. */
export function slowSubject(scratch) {
  return new Subject('slow', slowPackage(scratch));
}

/** Every model of `npm run bench -- --full`; what is too large to keep is made below `scratch`. */
export function allSubjects(scratch) {
  return [
    { subject: treeSubject(), bodies: ['tensors', 'features'] },
    { subject: new Subject('small tree', path.join(EXAMPLES, 'fraud_detection-2.0.0')), bodies: ['features'] },
    { subject: new Subject('linear', path.join(EXAMPLES, 'breast_cancer-1.0.0')), bodies: ['tensors', 'features'] },
    { subject: new Subject('lstm', path.join(KEPT, 'lstm_momentum_v1-1.2.3')), bodies: ['tensors'] },
    { subject: denseSubject(scratch), bodies: ['tensors', 'features'] },
    { subject: convolutionSubject(scratch), bodies: ['tensors'] },
  ];
}
