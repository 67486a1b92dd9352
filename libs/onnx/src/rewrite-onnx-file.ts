import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import type { OnnxLimits } from './onnx-limits';
import type { OnnxModel } from './onnx-model';
import type { OnnxChange, OnnxRewrite } from './rewrite/onnx-rewrite';
import { planRewrite } from './rewrite/plan-rewrite';
import { rewriteFile, type RewrittenFile } from './rewrite/rewritten-file';

/** A file that was made of another: what was changed, and the digest and size of what came of it. */
export interface DerivedFile extends RewrittenFile {
  readonly changes: readonly OnnxChange[];
  /** What it says of itself. */
  readonly model: OnnxModel;
}

/**
 * What serving needs changed in a file that `inspectOnnxFile` let pass, and what the changed file would be: undefined where it
 * can run as it is. Nothing is written.
 */
export function planDerivedFile(file: string, model: OnnxModel, limits: OnnxLimits): Promise<DerivedFile | undefined> {
  return withPlan(file, { model, limits }, async (source, rewrite) => ({
    ...(await rewriteFile(source, rewrite)),
    changes: rewrite.changes,
    model: rewrite.model,
  }));
}

/** Writes the changed file into `target`, which must not exist; durable when it returns. Undefined where nothing needs change. */
export function writeDerivedFile(
  file: string,
  target: string,
  of: { readonly model: OnnxModel; readonly limits: OnnxLimits },
): Promise<RewrittenFile | undefined> {
  return withPlan(file, of, async (source, rewrite) => {
    const copy = await open(target, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o400);
    try {
      const written = await rewriteFile(source, rewrite, copy);
      await copy.sync();
      return written;
    } finally {
      await copy.close();
    }
  });
}

async function withPlan<T>(
  file: string,
  { model, limits }: { readonly model: OnnxModel; readonly limits: OnnxLimits },
  work: (source: FileHandle, rewrite: OnnxRewrite) => Promise<T>,
): Promise<T | undefined> {
  const source = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    const rewrite = await planRewrite(source, model, limits);
    return rewrite && (await work(source, rewrite));
  } finally {
    await source.close();
  }
}
