import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { DomainError } from '@sibyl/kernel';
import { externalFilesOf, type OnnxLimits } from '@sibyl/onnx';
import { goldenDocumentIn } from '../golden-files';
import { GOLDEN_FILE } from '../golden-reader';
import { parseJsonObject } from '../json-document';
import { MANIFEST_FILE, readManifest, type ExpectedIdentity } from '../manifest-reader';
import { readSmall, refusedFile } from '../package-files';
import { isPackagePath } from '../package-path';
import { WELL_KNOWN_FILES } from '../package-reader';
import { MODEL_FILE } from '../package-source';
import type { PackageLimits } from '../registry-options';
import { SIGNATURE_FILE } from '../signing/signature-fault';
import { signedNames } from '../signing/signed-files';
import { downloadFile, type Downloaded } from './file-download';
import { checkListedName } from './listed-names';
import type { OnProgress } from '../progress';
import type { RemotePackage } from './remote-package';
import type { SourceOptions } from './source-options';

export interface PackageDownloadParts {
  readonly remote: RemotePackage;
  /** Empty, and made for this download. */
  readonly folder: string;
  readonly limits: PackageLimits;
  readonly onnxLimits: OnnxLimits;
  readonly options: SourceOptions;
  readonly signal: AbortSignal;
  readonly onProgress: OnProgress | undefined;
}

/** Of a file that describes a package: many times what one has. */
const DESCRIPTION_BYTES = 1024 * 1024;
/** Names of a listing that are looked at; more is no folder of a package. */
const NAMES = 4096;

/**
 * Fetches of a package what belongs to it, and nothing else: the manifest first, so that what contradicts the request is refused
 * before the large files come; then the model, what it and the manifest and the golden samples name, and the well-known files.
 */
export class PackageDownload {
  /** Of the model file. */
  validator: string | undefined;
  private readonly taken = new Set<string>();
  private listed: ReadonlySet<string> | undefined;
  private bytes = 0;
  /** Announced sizes of files that are complete or under way. */
  private announced = 0;

  constructor(private readonly parts: PackageDownloadParts) {}

  /** Returns what the package is to be called: the place's own name and version stand in where neither manifest nor request has one. */
  async run(asked: ExpectedIdentity): Promise<ExpectedIdentity> {
    const { remote, folder, limits, signal } = this.parts;
    const names = await remote.list(signal);
    if (names !== undefined) this.checkNames(names);
    this.listed = names && new Set(names);
    await this.optional(MANIFEST_FILE, limits.manifestBytes);
    const bytes = await readSmall(folder, MANIFEST_FILE, limits.manifestBytes);
    const expect = this.identity(asked, bytes);
    const manifest = readManifest(bytes, expect, limits.jsonDepth);
    const model = remote.model ?? (await this.describedModel()) ?? modelAmong(names);
    await this.takeModel(model);
    for (const file of [...(manifest.files ?? []), ...(manifest.native?.files ?? [])]) await this.take(file);
    await this.takeRest(model);
    return expect;
  }

  /** What a description of the package calls the model. It is read and not kept: it is no file of a package. */
  private async describedModel(): Promise<string | undefined> {
    const { remote, folder } = this.parts;
    if (remote.modelIn === undefined) return undefined;
    const { file, find } = remote.modelIn;
    if (this.listed?.has(file) === false) return undefined;
    if (!(await this.download(file, { as: file, bytesMax: DESCRIPTION_BYTES }))) return undefined;
    const text = await readSmall(folder, file, DESCRIPTION_BYTES);
    await rm(path.join(folder, file));
    return text && find(text.toString('utf8'));
  }

  private async takeModel(model: string): Promise<void> {
    const { folder, onnxLimits } = this.parts;
    const fetched = await this.take(model, { as: MODEL_FILE, bytesMax: onnxLimits.fileBytes });
    if (!fetched) throw noModel(model);
    for (const file of await externalFilesOf(path.join(folder, MODEL_FILE), onnxLimits)) {
      if (!isPackagePath(file))
        throw refusedFile(MODEL_FILE, 'external data under such a name', 'external data in plain file names');
      await this.take(file);
    }
  }

  /** Golden samples, well-known files and the signature, with what they name. */
  private async takeRest(model: string): Promise<void> {
    const { folder, limits } = this.parts;
    await this.optional(GOLDEN_FILE, limits.goldenBytes);
    for (const file of (await goldenDocumentIn(folder, limits))?.files ?? []) await this.take(file);
    for (const file of WELL_KNOWN_FILES) await this.optional(file);
    await this.optional(SIGNATURE_FILE, limits.signatureBytes);
    const signed = await signedNames(folder, limits);
    for (const file of signed) if (file !== model && isPackagePath(file)) await this.take(file);
  }

  /** What a listing does not name is not asked for; it is of the top only, where folders end with a slash. */
  private async optional(file: string, bytesMax?: number): Promise<void> {
    if (this.listed?.has(file.replace(/\/.*/, '/')) !== false)
      await this.take(file, bytesMax === undefined ? {} : { bytesMax });
  }

  private identity(asked: ExpectedIdentity, bytes: Buffer | undefined): ExpectedIdentity {
    const { identity } = this.parts.remote;
    if (identity === undefined) return asked;
    const written = bytes ? parseJsonObject(bytes, MANIFEST_FILE, this.parts.limits.jsonDepth) : {};
    return {
      ...(written['name'] === undefined ? { name: identity.name } : {}),
      ...(written['version'] === undefined ? { version: identity.version } : {}),
      ...asked,
    };
  }

  private checkNames(names: readonly string[]): void {
    if (names.length > NAMES) throw tooMany(names.length);
    for (const name of names) checkListedName(name);
  }

  /** What is missing where something needs it is reported by whoever reads the package afterwards. */
  private async take(file: string, { as = file, bytesMax = Infinity }: TakeOptions = {}): Promise<boolean> {
    const { limits } = this.parts;
    if (this.taken.has(as)) return true;
    if (this.taken.size >= limits.files) throw tooMany(this.taken.size + 1);
    const got = await this.download(file, { as, bytesMax: Math.min(bytesMax, limits.artifactBytes - this.bytes) });
    if (!got) return false;
    this.taken.add(as);
    this.bytes += got.bytes;
    this.announced += got.bytes;
    if (as === MODEL_FILE) this.validator = got.validator;
    return true;
  }

  private async download(file: string, { as, bytesMax }: Required<TakeOptions>): Promise<Downloaded | undefined> {
    const { remote, folder, options, signal, onProgress } = this.parts;
    const target = path.join(folder, as);
    await mkdir(path.dirname(target), { recursive: true, mode: 0o700 });
    const before = this.bytes;
    let announced = 0;
    return downloadFile((resume) => remote.open(file, resume, signal), {
      file,
      target,
      bytesMax,
      signal,
      pace: options,
      onBytes: (bytes, total) => {
        announced = Math.max(announced, total ?? bytes);
        onProgress?.(before + bytes, this.announced + announced, `fetching ${as}`);
      },
    });
  }
}

interface TakeOptions {
  readonly as?: string;
  readonly bytesMax?: number;
}

/** As for folders on this machine: `model.onnx`, else the only `.onnx` file. */
function modelAmong(names: readonly string[] | undefined): string {
  if (names === undefined || names.includes(MODEL_FILE)) return MODEL_FILE;
  const [only, another] = names.filter((name) => name.toLowerCase().endsWith('.onnx'));
  if (only !== undefined && another === undefined) return only;
  const received = names.includes('MLmodel')
    ? 'an MLflow model without an ONNX flavor'
    : `${only === undefined ? 0 : 'several'} .onnx files`;
  throw noModel(MODEL_FILE, received);
}

function noModel(file: string, received = 'nothing'): DomainError {
  return new DomainError('model_rejected', `The package has no ${file}.`, {
    faults: [{ pointer: `/${file}`, expected: `${MODEL_FILE}, or one file that ends with .onnx`, received }],
  });
}

function tooMany(count: number): DomainError {
  return new DomainError('model_rejected', 'The package has too many files.', {
    faults: [{ pointer: '/', expected: 'fewer files', received: `${count} or more` }],
  });
}
