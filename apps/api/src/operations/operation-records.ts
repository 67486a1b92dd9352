import { DomainError, ownerOf, processMark, type ErrorCode, type FieldFault } from '@sibyl/kernel';
import type { Logger } from '@sibyl/telemetry';
import { mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import type { Operation } from './operation';

const NAME = /^([0-9a-f-]{36})\.json$/;
/** What a process left behind that ended while it wrote. */
const PART = '.part';
/** More than these, and the oldest are forgotten. */
const RECORDS_MAX = 10_000;
/** Of one key; its own oldest make room, so that it pushes out nobody else's. */
const RECORDS_OF_KEY = 1000;

type Kept = Omit<Operation, 'error'> & {
  /** Of the process that runs it. */
  readonly owner: string;
  readonly error?: { readonly code: ErrorCode; readonly detail: string; readonly faults?: readonly FieldFault[] };
};

/**
 * Operations whose result is fetched later, on disk: they are known after a restart too, and one whose process is gone has
 * failed.
 */
export class OperationRecords {
  /** By key, the oldest first: those of before, and of this process. */
  private readonly known = new Map<string, Set<string>>();

  constructor(
    private readonly folder: string,
    private readonly keptMs: number,
    private readonly log: Pick<Logger, 'warn'>,
    private readonly ofKey = RECORDS_OF_KEY,
  ) {}

  /** Forgets what is old, and answers the operations that ended with their process. */
  async start(): Promise<readonly string[]> {
    await mkdir(this.folder, { recursive: true, mode: 0o700 });
    const ids = await this.sweep();
    const interrupted: string[] = [];
    // The newest comes first.
    for (const id of [...ids].reverse()) {
      const kept = await this.read(id);
      if (kept) await this.makeRoom(kept);
      if (kept?.status !== 'running' || ownerOf(kept.owner) !== 'gone') continue;
      interrupted.push(id);
      this.log.warn({ operationId: id, kind: kept.kind }, 'an operation ended with the process that ran it');
      await this.write(interruptedOf(kept)).catch(() => undefined);
    }
    return interrupted;
  }

  /** How it is now. Where that cannot be kept, it is known as long as this process lives. */
  async keep(operation: Operation): Promise<void> {
    try {
      await this.makeRoom(operation);
      await this.write(keptOf(operation));
    } catch (error) {
      this.log.warn({ operationId: operation.id, err: error }, 'how an operation is could not be kept');
    }
  }

  private async makeRoom({ id, keyId }: Pick<Operation, 'id' | 'keyId'>): Promise<void> {
    let ids = this.known.get(keyId);
    if (!ids) this.known.set(keyId, (ids = new Set()));
    ids.add(id);
    const [oldest] = ids;
    if (ids.size <= this.ofKey || oldest === undefined) return;
    ids.delete(oldest);
    await rm(path.join(this.folder, `${oldest}.json`), { force: true });
  }

  async find(id: string): Promise<Operation | undefined> {
    const kept = await this.read(id);
    if (!kept) return undefined;
    // Another process runs it, and has just not answered; or it is gone.
    const told = kept.status === 'running' && ownerOf(kept.owner) === 'gone' ? interruptedOf(kept) : kept;
    const { error, ...operation }: Omit<Kept, 'owner'> & { owner?: string } = { ...told };
    delete operation.owner;
    return { ...operation, ...(error && { error: new DomainError(error.code, error.detail, faultsOf(error)) }) };
  }

  private async read(id: string): Promise<Kept | undefined> {
    const name = `${id}.json`;
    if (!NAME.test(name)) return undefined;
    try {
      return JSON.parse(await readFile(path.join(this.folder, name), 'utf8')) as Kept;
    } catch {
      return undefined;
    }
  }

  private async write(kept: Kept): Promise<void> {
    const file = path.join(this.folder, `${kept.id}.json`);
    try {
      await writeDurably(file + PART, JSON.stringify(kept));
      await rename(file + PART, file);
    } catch (error) {
      await rm(file + PART, { force: true });
      throw error;
    }
  }

  /** Ids of what stays. */
  private async sweep(): Promise<readonly string[]> {
    const found: { readonly name: string; readonly at: number }[] = [];
    for (const name of await readdir(this.folder)) {
      const stats = await stat(path.join(this.folder, name)).catch(() => undefined);
      if (stats) found.push({ name, at: stats.mtimeMs });
    }
    found.sort((a, b) => b.at - a.at);
    const kept: string[] = [];
    for (const { name, at } of found) {
      const id = NAME.exec(name)?.[1];
      if (id !== undefined && kept.length < RECORDS_MAX && Date.now() - at <= this.keptMs) kept.push(id);
      else if (id !== undefined || Date.now() - at > this.keptMs)
        await rm(path.join(this.folder, name), { force: true });
    }
    return kept;
  }
}

async function writeDurably(file: string, text: string): Promise<void> {
  const handle = await open(file, 'w', 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function keptOf({ error, ...operation }: Operation): Kept {
  const told = error && { code: error.code, detail: error.detail, ...faultsOf(error) };
  return { ...operation, owner: processMark(), ...(told && { error: told }) };
}

function interruptedOf(kept: Kept): Kept {
  const detail = 'The server ended before the operation did. Nothing of it was kept; begin it again.';
  return { ...kept, status: 'failed', error: { code: 'shutting_down', detail } };
}

function faultsOf({ faults }: { readonly faults?: readonly FieldFault[] | undefined }): {
  readonly faults?: readonly FieldFault[];
} {
  return faults === undefined ? {} : { faults };
}
