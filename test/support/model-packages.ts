import fs from 'node:fs';
import path from 'node:path';
import { REPOSITORY } from './server.mjs';

/** The files of a package by their paths in it. */
export type PackageFiles = ReadonlyMap<string, Buffer>;

type Document = Record<string, unknown>;

/** A package of examples/models with some members of its manifest changed (undefined takes one away), so that it is new to a server. */
export function examplePackage(folder: string, changes: Document): PackageFiles {
  const source = path.join(REPOSITORY, 'examples/models', folder);
  const files = new Map<string, Buffer>();
  for (const name of fs.readdirSync(source)) files.set(name, fs.readFileSync(path.join(source, name)));
  const manifest = { ...(JSON.parse(String(files.get('sibyl.json'))) as Document), ...changes };
  return files.set('sibyl.json', json(manifest));
}

/** A package of one model file, and a manifest with what is given. */
export function modelPackage(model: Buffer, manifest: Document, others: Record<string, Buffer> = {}): PackageFiles {
  return new Map([['model.onnx', model], ['sibyl.json', json(manifest)], ...Object.entries(others)]);
}

export function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}

/** Writes a package to disk, for imports. */
export function writePackage(folder: string, files: PackageFiles): void {
  for (const [name, content] of files) {
    const file = path.join(folder, name);
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, content);
  }
}

export interface Part {
  readonly field: string;
  /** As it goes into the header, unescaped. */
  readonly file?: string;
  readonly content: Buffer | string;
}

export const BOUNDARY = 'sibyl-test-boundary';
export const MULTIPART = `multipart/form-data; boundary=${BOUNDARY}`;

/** A multipart body byte by byte: what clients send that no library would let one write. */
export function multipart(parts: Iterable<Part>): Buffer {
  const chunks: Buffer[] = [];
  for (const { field, file, content } of parts) {
    const name = file === undefined ? '' : `; filename="${file}"`;
    const type = file === undefined ? '' : '\r\nContent-Type: application/octet-stream';
    chunks.push(Buffer.from(`--${BOUNDARY}\r\nContent-Disposition: form-data; name="${field}"${name}${type}\r\n\r\n`));
    chunks.push(Buffer.from(content), Buffer.from('\r\n'));
  }
  return Buffer.concat([...chunks, Buffer.from(`--${BOUNDARY}--\r\n`)]);
}

/** The parts of a package as `curl -F f=@file` would name them. */
export function partsOf(files: PackageFiles, fields: Record<string, string> = {}): Part[] {
  return [
    ...Object.entries(fields).map(([field, content]) => ({ field, content })),
    ...Array.from(files, ([file, content]) => ({ field: 'f', file, content })),
  ];
}
