import { readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { DomainError, type Clock } from '@sibyl/kernel';
import { ignoreMissing } from './package-files';
import type { RegistryOptions } from './registry-options';
import type { UploadEntry, UploadParts } from './upload-parts';

export type RoomLimits = Pick<
  RegistryOptions,
  'uploadsKept' | 'uploadBytes' | 'uploadsKeptOfModel' | 'uploadBytesOfModel' | 'uploadKeepMs'
>;

/** What files take, with what is still to come of them. */
interface Taken {
  readonly files: number;
  readonly bytes: number;
}

/** What lay in the folder of one model when it was looked at. */
interface Looked extends Taken {
  readonly atMs: number;
  /** How many files had been asked for when the look began: it has seen the claims of all of them. */
  readonly asked: number;
  /** Files that are whole: their bytes change no more, so none is asked for its size twice. */
  readonly whole: ReadonlyMap<string, UploadEntry>;
}

/** How old what is known of other models may be; other processes send for them, too. */
const LOOK_MS = 5_000;
const NOTHING: Taken = { files: 0, bytes: 0 };

/**
 * Whether there is room for another file that is sent by itself. Each model has a share, so that whoever may send for one takes
 * nothing away from the others. Its folder is listed for each file; those of the others now and then, and when there seems to be no room.
 */
export class UploadRoom {
  private looked: ReadonlyMap<string, Looked> = new Map();
  private asked = 0;
  /** Of each folder, the last file that this process asked room for. */
  private readonly lastAsked = new Map<string, number>();

  constructor(
    private readonly root: string,
    private readonly parts: UploadParts,
    private readonly limits: RoomLimits,
    private readonly clock: Clock,
  ) {}

  /** With what the caller has claimed in the folder: of several that come at once, none overlooks the others. */
  async require(folder: string): Promise<void> {
    const { uploadsKept, uploadBytes, uploadsKeptOfModel, uploadBytesOfModel } = this.limits;
    const name = path.basename(folder);
    this.lastAsked.set(name, ++this.asked);
    const all = await this.look(LOOK_MS);
    const own = all.get(name) ?? NOTHING;
    if (own.files > uploadsKeptOfModel || own.bytes > uploadBytesOfModel)
      throw noRoom('Too many files were sent for this model and not registered yet. Register them, or give some back.');
    const fits = ({ files, bytes }: Taken): boolean => files <= uploadsKept && bytes <= uploadBytes;
    if (!fits(sumOf(all)) && !fits(sumOf(await this.look(0))))
      throw noRoom('Too many files were sent and not registered yet.');
  }

  /** Removes what nobody has added to for its time. */
  async sweep(): Promise<void> {
    await this.look(0);
  }

  /** What lies in the folders of all models, none of it known for longer than `ageMs`. */
  private async look(ageMs: number): Promise<ReadonlyMap<string, Looked>> {
    const looked = new Map<string, Looked>();
    for (const name of (await readdir(this.root).catch(ignoreMissing)) ?? []) {
      const known = this.looked.get(name);
      looked.set(name, known && this.isFresh(name, known, ageMs) ? known : await this.lookInto(name, known));
    }
    this.looked = looked;
    for (const name of this.lastAsked.keys()) if (!looked.has(name)) this.lastAsked.delete(name);
    return looked;
  }

  private isFresh(name: string, { asked, atMs }: Looked, ageMs: number): boolean {
    return asked >= (this.lastAsked.get(name) ?? 0) && this.clock.monotonic() - atMs < ageMs;
  }

  private async lookInto(name: string, before: Looked | undefined): Promise<Looked> {
    const [asked, atMs] = [this.asked, this.clock.monotonic()];
    const folder = path.join(this.root, name);
    const oldest = this.clock.now() - this.limits.uploadKeepMs;
    const whole = new Map<string, UploadEntry>();
    let [files, bytes] = [0, 0];
    for (const file of (await readdir(folder).catch(ignoreMissing)) ?? []) {
      const known = before?.whole.get(file);
      const entries = known && known.changedMs >= oldest ? [known] : await this.parts.entry(folder, file);
      for (const entry of entries) {
        if (entry.changedMs < oldest && !entry.claimed) {
          await rm(entry.path, { force: true });
          continue;
        }
        if (entry.whole) whole.set(file, entry);
        files++;
        bytes += entry.reserved;
      }
    }
    return { atMs, asked, files, bytes, whole };
  }
}

function sumOf(all: ReadonlyMap<string, Taken>): Taken {
  let [files, bytes] = [0, 0];
  for (const taken of all.values()) {
    files += taken.files;
    bytes += taken.bytes;
  }
  return { files, bytes };
}

function noRoom(detail: string): DomainError {
  return new DomainError('queue_full', detail, { retryAfterSeconds: 60 });
}
