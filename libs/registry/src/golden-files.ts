import type { Tensor } from '@sibyl/protocol';
import type { Golden } from './golden';
import { GOLDEN_FILE, readGolden, readGoldenDocument, type GoldenContext, type GoldenDocument } from './golden-reader';
import type { ModelVersion } from './model-version';
import { readSmall } from './package-files';
import type { PackageLimits } from './registry-options';

/** The golden samples of a package as they lie in its folder; undefined where it has none. Throws model_rejected. */
export async function goldenDocumentIn(folder: string, limits: PackageLimits): Promise<GoldenDocument | undefined> {
  const bytes = await readSmall(folder, GOLDEN_FILE, limits.goldenBytes);
  return bytes && readGoldenDocument(bytes, limits);
}

/** The same, read, with the raw files that they name. */
export async function goldenIn(
  folder: string,
  document: GoldenDocument | undefined,
  context: Omit<GoldenContext, 'raw'>,
): Promise<Golden | undefined> {
  if (!document) return undefined;
  const raw = new Map<string, Buffer>();
  let rest = context.limits.goldenRawBytes;
  for (const file of document.files) {
    const bytes = await readSmall(folder, file, rest);
    if (!bytes) continue;
    raw.set(file, bytes);
    rest -= bytes.length;
  }
  return readGolden(document, { ...context, raw });
}

/** Inputs of a version's golden samples, out of its folder. */
export async function sampleInputsIn(
  folder: string,
  { manifest, signature }: Pick<ModelVersion, 'manifest' | 'signature'>,
  limits: PackageLimits,
): Promise<readonly (readonly Tensor[])[]> {
  const golden = await goldenIn(folder, await goldenDocumentIn(folder, limits), { manifest, signature, limits });
  return golden?.samples.map((sample) => sample.inputs) ?? [];
}
