import path from 'node:path';
import { DomainError } from '@sibyl/kernel';
import { inspectOnnxFile, planDerivedFile, signatureOf, type OnnxLimits, type OnnxModel } from '@sibyl/onnx';
import type { ModelSignature } from '@sibyl/protocol';
import { withClasses, type DerivedModel } from './derived-model';
import type { Golden } from './golden';
import { goldenDocumentIn, goldenIn } from './golden-files';
import { GOLDEN_FILE, type GoldenDocument } from './golden-reader';
import type { Manifest } from './manifest';
import { MANIFEST_FILE, readManifest, type ExpectedIdentity } from './manifest-reader';
import { checkManifest } from './manifest-signature';
import { readSmall, refusedFile } from './package-files';
import { isPackagePath } from './package-path';
import { MODEL_FILE, type PackageSource } from './package-source';
import type { PackageLimits } from './registry-options';
import { takeSigned } from './signing/signed-files';
import type { StagedPackage } from './staged-package';

/** Files that belong to a package under these names without being named by anything. */
export const WELL_KNOWN_FILES: readonly string[] = [
  ...[
    'README.md',
    'LICENSE',
    'LICENSE.txt',
    'NOTICE',
    'config.json',
    'generation_config.json',
    'preprocessor_config.json',
  ],
  ...['tokenizer.json', 'tokenizer_config.json', 'tokenizer.model', 'special_tokens_map.json', 'added_tokens.json'],
  ...['vocab.txt', 'vocab.json', 'merges.txt', 'chat_template.jinja', 'modules.json', 'sentence_bert_config.json'],
  '1_Pooling/config.json',
];

const IGNORED_LISTED = 100;

/** What a package says and holds, read and checked, but not yet tried. */
export interface PackageContents {
  readonly manifest: Manifest;
  /** Of the package's own file. */
  readonly onnx: OnnxModel;
  /** What runs in its place, where it cannot run as it is. */
  readonly derived: DerivedModel | undefined;
  readonly signature: ModelSignature;
  readonly golden: Golden | undefined;
  readonly ignoredFiles: readonly string[];
  /** Of a package with a signature: files of the folder that it does not cover. */
  readonly unsignedFiles: readonly string[];
}

/** Reads packages: takes what belongs to one into the store's staging folder, and reads what lies in the store. */
export class PackageReader {
  constructor(
    private readonly limits: PackageLimits,
    private readonly onnxLimits: OnnxLimits,
  ) {}

  /** Copies the files that belong to the package and reads the copies; nothing else of the folder is touched. */
  async stage(source: PackageSource, expected: ExpectedIdentity, staged: StagedPackage): Promise<PackageContents> {
    const { folder } = source;
    await this.takeSmall(source, staged, MANIFEST_FILE, this.limits.manifestBytes);
    const declared = await this.manifest(staged.folder, expected);
    await staged.take(folder, source.model, MODEL_FILE);
    const onnx = await this.scan(source, staged);
    const { manifest, signature, derived } = await this.running(staged.folder, onnx, declared);
    await this.takeSmall(source, staged, GOLDEN_FILE, this.limits.goldenBytes);
    const document = await goldenDocumentIn(staged.folder, this.limits);
    await takeNamed(source, staged, manifest, document);
    for (const file of WELL_KNOWN_FILES) await staged.take(folder, file);
    const unsignedFiles = await takeSigned(source, staged, this.limits);
    const golden = await goldenIn(staged.folder, document, { manifest, signature, limits: this.limits });
    return { manifest, onnx, derived, signature, golden, ignoredFiles: ignoredOf(source, staged), unsignedFiles };
  }

  /** Reads a package that lies in the store, its bytes verified by whoever gives the folder. */
  async read(folder: string, identity: Required<ExpectedIdentity>): Promise<PackageContents> {
    const declared = await this.manifest(folder, identity);
    const onnx = await inspectOnnxFile(path.join(folder, MODEL_FILE), this.onnxLimits);
    const { manifest, signature, derived } = await this.running(folder, onnx, declared);
    const document = await goldenDocumentIn(folder, this.limits);
    const golden = await goldenIn(folder, document, { manifest, signature, limits: this.limits });
    return { manifest, onnx, derived, signature, golden, ignoredFiles: [], unsignedFiles: [] };
  }

  /** What will run, and what the manifest says of it: its answers are of the rewritten file where there is one. */
  private async running(
    folder: string,
    onnx: OnnxModel,
    declared: Manifest,
  ): Promise<Pick<PackageContents, 'manifest' | 'signature' | 'derived'>> {
    const plan = await planDerivedFile(path.join(folder, MODEL_FILE), onnx, this.onnxLimits);
    const derived = plan && { file: MODEL_FILE, sha256: plan.sha256, bytes: plan.bytes, changes: plan.changes };
    const signature = signatureOf(plan?.model ?? onnx);
    const manifest = withClasses(declared, derived);
    checkManifest(manifest, signature);
    return { manifest, signature, derived };
  }

  private async manifest(folder: string, expected: ExpectedIdentity): Promise<Manifest> {
    return readManifest(
      await readSmall(folder, MANIFEST_FILE, this.limits.manifestBytes),
      expected,
      this.limits.jsonDepth,
    );
  }

  // The copy is what will run, so the copy is what is scanned. Only a model with weights in other files needs the scan of the
  // source, which says which files those are.
  private async scan(source: PackageSource, staged: StagedPackage): Promise<OnnxModel> {
    const copy = path.join(staged.folder, MODEL_FILE);
    try {
      return await inspectOnnxFile(copy, this.onnxLimits);
    } catch (error) {
      if (!(error instanceof DomainError && error.code === 'model_rejected')) throw error;
    }
    const { externalFiles } = await inspectOnnxFile(path.join(source.folder, source.model), this.onnxLimits);
    for (const file of externalFiles) {
      if (!isPackagePath(file))
        throw refusedFile(MODEL_FILE, 'external data under such a name', 'external data in plain file names');
      await staged.take(source.folder, file);
    }
    return inspectOnnxFile(copy, this.onnxLimits);
  }

  private async takeSmall(source: PackageSource, staged: StagedPackage, file: string, limit: number): Promise<void> {
    await staged.take(source.folder, file, file, limit);
  }
}

/** Takes what the manifest and the golden samples name. What the manifest names must be there. */
async function takeNamed(
  source: PackageSource,
  staged: StagedPackage,
  manifest: Manifest,
  golden: GoldenDocument | undefined,
): Promise<void> {
  // Raw files that are missing are reported with the samples that name them.
  for (const file of golden?.files ?? []) await staged.take(source.folder, file);
  const lists = [
    { pointer: `/${MANIFEST_FILE}/native/files`, files: manifest.native?.files ?? [] },
    { pointer: `/${MANIFEST_FILE}/files`, files: manifest.files ?? [] },
  ];
  for (const { pointer, files } of lists) {
    for (const file of files) {
      if (await staged.take(source.folder, file)) continue;
      throw new DomainError('manifest_mismatch', 'The manifest names a file that the package does not have.', {
        faults: [{ pointer, expected: 'files of the package', received: file }],
      });
    }
  }
}

function ignoredOf(source: PackageSource, staged: StagedPackage): string[] {
  const taken = new Set(staged.files.map((file) => file.path.split('/')[0]));
  const ignored = source.names.filter((name) => name !== source.model && !taken.has(name));
  return ignored.slice(0, IGNORED_LISTED).map((name) => name.slice(0, 128));
}
