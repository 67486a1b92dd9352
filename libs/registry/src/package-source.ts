import { opendir } from 'node:fs/promises';
import { DomainError } from '@sibyl/kernel';
import { ignoreMissing } from './package-files';

export const MODEL_FILE = 'model.onnx';

/** A folder that holds a model, wherever it came from. */
export interface PackageSource {
  readonly folder: string;
  /** Name of the ONNX file in it; in the store it is called model.onnx. */
  readonly model: string;
  /** Names at the top of the folder, up to a limit. */
  readonly names: readonly string[];
}

const NAMES_MAX = 10_000;

/**
 * Finds the model in a folder: `model.onnx` (a package, or an MLflow model directory with an ONNX flavor, which has it too),
 * else the only `.onnx` file. `named` picks one of several. Throws model_rejected.
 */
export async function openSource(folder: string, named?: string): Promise<PackageSource> {
  const names = await namesIn(folder);
  const models = names.filter((name) => name.toLowerCase().endsWith('.onnx'));
  const model = named ?? (models.includes(MODEL_FILE) ? MODEL_FILE : models.length === 1 ? models[0] : undefined);
  if (model !== undefined && names.includes(model)) return { folder, model, names };
  const received =
    names.includes('MLmodel') && models.length === 0
      ? 'an MLflow model without an ONNX flavor'
      : `${models.length} .onnx files`;
  throw new DomainError('model_rejected', `The package has no ${MODEL_FILE}.`, {
    faults: [{ pointer: `/${MODEL_FILE}`, expected: `${MODEL_FILE}, or one file that ends with .onnx`, received }],
  });
}

async function namesIn(folder: string): Promise<string[]> {
  const names: string[] = [];
  const entries = await opendir(folder).catch((error: unknown) => ignoreMissing(error));
  if (!entries) return names;
  for await (const entry of entries) if (names.push(entry.name) >= NAMES_MAX) break;
  return names.sort();
}
