import type { ClassKey, OnnxChange } from '@sibyl/onnx';
import type { Manifest } from './manifest';

/** The file that runs in place of a package's model, made of it: what was changed, why, and which bytes came of it. */
export interface DerivedModel {
  /** The file that it stands for. */
  readonly file: string;
  /** Lower-case hex. */
  readonly sha256: string;
  readonly bytes: number;
  readonly changes: readonly OnnxChange[];
}

/** The keys of a dropped ZipMap; undefined where there was none, or several that do not agree. */
export function zipMapClasses(derived: DerivedModel | undefined): readonly ClassKey[] | undefined {
  const [first, ...others] = (derived?.changes ?? []).flatMap(({ classes }) => (classes?.length ? [classes] : []));
  const same = first && others.every((classes) => JSON.stringify(classes) === JSON.stringify(first));
  return same && new Set(first.map(String)).size === first.length ? first : undefined;
}

/** The manifest with the classes that the file has, where it names none of its own. */
export function withClasses(manifest: Manifest, derived: DerivedModel | undefined): Manifest {
  const classes = manifest.classes === undefined ? zipMapClasses(derived) : undefined;
  return classes ? { ...manifest, classes: classes.map(String) } : manifest;
}

/** What an event keeps of it: the classes of some models are many. */
export function derivedRecord({ file, sha256, bytes, changes }: DerivedModel): Record<string, unknown> {
  return { file, sha256, bytes, changes: changes.map(({ kind, pointer, reason }) => ({ kind, pointer, reason })) };
}
