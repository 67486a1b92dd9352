import { readdir, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { type Clock, type IdSource, ownerOf, processMark } from '@sibyl/kernel';
import { ignoreMissing } from './package-files';

const PART = '.part';
/** `<sha256>.<bytes it will have>.<mark of the process>-<id>.part` */
const CLAIMED = /^([0-9a-f]{64})\.(\d{1,15})\.(.+)\.part$/;
/** Another machine's claim that nothing was written to for so long is one that a crash left; nobody can ask that machine. */
const ELSEWHERE_MS = 60_000;

/** Parts that this process is writing to. */
const OWN = new Set<string>();

/** A part of a file that one process writes to, and no other. */
export interface ClaimedPart {
  readonly path: string;
  readonly bytes: number;
}

/** What lies in a folder of files that are sent. */
export interface UploadEntry {
  readonly path: string;
  readonly bytes: number;
  /** With those that are announced and still to come. */
  readonly reserved: number;
  readonly changedMs: number;
  /** Somebody is writing to it. */
  readonly claimed: boolean;
  /** Nothing is added to it any more. */
  readonly whole: boolean;
}

/**
 * Beginnings of files. One that nobody sends is `<file>.part`. Whoever goes on with it renames it first, which only one of several
 * processes can do, and whoever begins anew has a part of his own: so no two ever write to one file, and what one drops is his own.
 * The name says who it is and how many bytes there will be, which all processes that share the folder count.
 */
export class UploadParts {
  constructor(
    private readonly clock: Clock,
    private readonly ids: IdSource,
  ) {}

  /** A name for a part of `file` that is not there yet. */
  begin(file: string, total: number): string {
    const claim = `${file}.${total}.${processMark()}-${this.ids.next()}${PART}`;
    // Before it is there: whoever sees it must know whose it is.
    OWN.add(claim);
    return claim;
  }

  /** Takes over what is there of a file; undefined where nothing is, or somebody else has it. */
  async resume(file: string, total: number): Promise<ClaimedPart | undefined> {
    const claim = this.begin(file, total);
    try {
      await rename(file + PART, claim);
      return { path: claim, bytes: (await stat(claim)).size };
    } catch (error) {
      OWN.delete(claim);
      return ignoreMissing(error);
    }
  }

  /** Leaves a part to whoever goes on with it. */
  async leave(file: string, claim: string): Promise<void> {
    OWN.delete(claim);
    await rename(claim, file + PART).catch(ignoreMissing);
  }

  async drop(claim: string): Promise<void> {
    OWN.delete(claim);
    await rm(claim, { force: true });
  }

  /** Removes the beginning that nobody sends. */
  async remove(file: string): Promise<void> {
    await rm(file + PART, { force: true });
  }

  /** The part has become the file; an older beginning of it is of no use any more. */
  async complete(file: string, claim: string): Promise<void> {
    OWN.delete(claim);
    await rename(claim, file);
    await this.remove(file);
  }

  /** What is there of a file: what somebody writes to just now, or what nobody does. */
  async of(file: string): Promise<UploadEntry | undefined> {
    const folder = path.dirname(file);
    const names = (await readdir(folder).catch(ignoreMissing)) ?? [];
    const own = names.filter((name) => name.startsWith(`${path.basename(file)}.`));
    const entries: UploadEntry[] = [];
    for (const name of own) entries.push(...(await this.entry(folder, name)));
    return entries.find(({ claimed }) => claimed) ?? entries[0];
  }

  /** An entry of a folder of files that are sent; none where it has gone meanwhile. */
  async entry(folder: string, name: string): Promise<UploadEntry[]> {
    const place = path.join(folder, name);
    const stats = await stat(place).catch(ignoreMissing);
    if (stats === undefined) return [];
    const { size, mtimeMs: changedMs } = stats;
    const [, sha256, total, owner] = CLAIMED.exec(name) ?? [];
    const found = { path: place, bytes: size, reserved: size, changedMs, claimed: false, whole: !name.endsWith(PART) };
    if (sha256 === undefined) return [found];
    if (OWN.has(place) || this.isClaimed(owner ?? '', changedMs))
      return [{ ...found, reserved: Math.max(size, Number(total)), claimed: true }];
    // Whoever wrote to it is gone.
    const left = path.join(folder, sha256 + PART);
    await rename(place, left).catch(ignoreMissing);
    return [{ ...found, path: left }];
  }

  private isClaimed(owner: string, changedMs: number): boolean {
    const whose = ownerOf(owner);
    return whose === 'here' || (whose === 'elsewhere' && this.clock.now() - changedMs < ELSEWHERE_MS);
  }
}
