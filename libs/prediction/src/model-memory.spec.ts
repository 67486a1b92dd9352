import type { LoadedModel } from '@sibyl/inference';
import { FakeClock } from '@sibyl/kernel/testing';
import { aModelVersion } from '@sibyl/registry/testing';
import { Hold, ModelMemory } from './model-memory';
import { PredictionOptions } from './prediction-options';
import { ServedVersion } from './served-version';

const HOUR_MS = 3_600_000;

class Fixture {
  readonly clock = new FakeClock();
  readonly options = Object.assign(new PredictionOptions(), { modelMemoryBytes: 1000, modelIdleMs: HOUR_MS });
  readonly pinned = new Set<ServedVersion>();
  /** Those whose manifest says so. */
  readonly kept = new Set<ServedVersion>();
  readonly versions: ServedVersion[] = [];
  readonly released: string[] = [];
  runners = 1;
  shrinks = false;
  readonly memory = new ModelMemory({
    runtime: {
      expectedBytes: ({ memoryBytes = 0, fileBytes }) => Math.max(memoryBytes, fileBytes) * this.runners,
    },
    clock: this.clock,
    options: this.options,
    log: { info: () => undefined },
    versions: () => this.versions,
    hold: (served) => (this.pinned.has(served) ? Hold.alias : this.kept.has(served) ? Hold.manifest : Hold.none),
    release: async (served) => {
      this.released.push(served.version);
      served.loaded = undefined;
      served.state = 'unloaded';
      await Promise.resolve();
    },
  });

  /** A version whose files have so many bytes. */
  version(name: string, bytes: number): ServedVersion {
    const files = [
      { path: 'model.onnx', sha256: '0'.repeat(64), bytes },
      { path: 'golden.json', sha256: '0'.repeat(64), bytes: 5000 },
    ];
    const served = new ServedVersion(aModelVersion({ version: name, files }));
    this.versions.push(served);
    return served;
  }

  /** `runners` copies of a model, all but one of which it can give up. */
  private loadedModel(bytes: number): LoadedModel {
    let copies = this.runners;
    const shrink = (): Promise<boolean> => {
      if (copies > 1 && this.shrinks) copies--;
      else return Promise.resolve(false);
      return Promise.resolve(true);
    };
    return {
      get totalBytes() {
        return bytes * copies;
      },
      shrink,
    } as LoadedModel;
  }

  /** The same, loaded, and found to take `bytes`. */
  async loaded(name: string, bytes: number, measured = bytes): Promise<ServedVersion> {
    const served = this.version(name, bytes);
    await this.memory.reserve(served);
    served.loaded = this.loadedModel(measured);
    served.state = 'ready';
    served.loadedAtMs = this.clock.now();
    await this.memory.settle(served);
    return served;
  }
}

let fixture: Fixture;
beforeEach(() => (fixture = new Fixture()));

describe('ModelMemory', () => {
  it('lets the least recently used go first, as many as are needed', async () => {
    const [a] = [await fixture.loaded('a', 300), await fixture.loaded('b', 300), await fixture.loaded('c', 300)];
    fixture.clock.advance(10);
    a.lastUsedAtMs = fixture.clock.now();
    await fixture.memory.reserve(fixture.version('d', 600));
    expect(fixture.released).toEqual(['b', 'c']);
    expect(fixture.memory.usedBytes()).toBe(900);
  });

  it('counts what is on its way in, and forgets it where the load fails', async () => {
    const coming = fixture.version('a', 700);
    await fixture.memory.reserve(coming);
    expect(fixture.memory.fits(fixture.version('b', 400))).toBe(false);
    await fixture.memory.settle(coming);
    expect(fixture.memory.fits(fixture.version('c', 1000))).toBe(true);
  });

  it('counts every runner’s copy', async () => {
    fixture.runners = 3;
    await fixture.loaded('a', 200);
    expect(fixture.memory.usedBytes()).toBe(600);
    expect(fixture.memory.fits(fixture.version('b', 200))).toBe(false);
  });

  it('gives up further copies before it unloads a version', async () => {
    fixture.runners = 3;
    fixture.shrinks = true;
    await fixture.loaded('a', 300);
    fixture.runners = 1;
    expect(fixture.memory.hasRoomFor(100)).toBe(true);
    expect(fixture.memory.hasRoomFor(101)).toBe(false);
    await fixture.loaded('b', 500);
    expect(fixture.memory.usedBytes()).toBe(800);
    expect(fixture.released).toEqual([]);
    await fixture.loaded('c', 700);
    expect(fixture.released).toEqual(['a', 'b']);
  });

  it('never touches what is pinned, and says what that leaves', async () => {
    fixture.pinned.add(await fixture.loaded('a', 800));
    const refused = fixture.memory.reserve(fixture.version('b', 300));
    await expect(refused).rejects.toMatchObject({ code: 'model_not_ready', retryAfterSeconds: 30 });
    expect(fixture.released).toEqual([]);
    expect(fixture.memory.usedBytes()).toBe(800);
  });

  it('unloads nothing for what cannot have room', async () => {
    fixture.pinned.add(await fixture.loaded('a', 500));
    await fixture.loaded('b', 300);
    const refused = fixture.memory.reserve(fixture.version('c', 600));
    await expect(refused).rejects.toMatchObject({ code: 'model_not_ready', detail: expect.stringContaining('leave') });
    expect(fixture.released).toEqual([]);
  });

  it('unloads what its own manifest keeps for what an alias needs, and for nothing else', async () => {
    fixture.kept.add(await fixture.loaded('kept', 700));
    await expect(fixture.memory.reserve(fixture.version('other', 600))).rejects.toMatchObject({
      code: 'model_not_ready',
    });
    const aliased = fixture.version('aliased', 600);
    fixture.pinned.add(aliased);
    await fixture.memory.reserve(aliased);
    expect(fixture.released).toEqual(['kept']);
  });

  it('goes by what a version is found to take: others make room, or it goes itself', async () => {
    const a = await fixture.loaded('a', 100);
    await fixture.loaded('b', 100, 950);
    expect(fixture.released).toEqual(['a']);
    expect(a.parked).toBe(true);
    await fixture.loaded('c', 50, 2000);
    expect(fixture.released).toEqual(['a', 'b', 'c']);
  });

  it('waits for what is leaving before it lets another go, and does not where that would be too little', async () => {
    const [leaving] = [await fixture.loaded('a', 400), await fixture.loaded('b', 400)];
    let drained = (): void => undefined;
    Object.assign(leaving, { loaded: undefined, state: 'unloading' });
    const left = fixture.memory.leave(400, new Promise((resolve) => (drained = resolve)));
    let reserved = false;
    const reserving = fixture.memory.reserve(fixture.version('c', 600)).then(() => (reserved = true));
    await new Promise(setImmediate);
    expect([fixture.memory.usedBytes(), fixture.memory.hasRoomFor(201), reserved]).toEqual([800, false, false]);
    expect(fixture.memory.fits(fixture.version('d', 600))).toBe(true);
    expect(fixture.memory.fits(fixture.version('e', 601))).toBe(false);
    drained();
    await Promise.all([left, reserving]);
    expect([fixture.released, fixture.memory.usedBytes()]).toEqual([[], 1000]);
    void fixture.memory.leave(100, new Promise(() => undefined));
    const refused = fixture.memory.reserve(fixture.version('f', 500));
    await expect(refused).rejects.toMatchObject({ code: 'model_not_ready' });
    expect(fixture.released).toEqual([]);
  });

  it('counts what is leaving no more when its unload fails', async () => {
    const failed = fixture.memory.leave(1000, Promise.reject(new Error('lost')));
    await Promise.all([expect(failed).rejects.toThrow('lost'), fixture.memory.reserve(fixture.version('a', 1000))]);
    expect(fixture.memory.usedBytes()).toBe(1000);
  });

  it('lets what nobody asks for go after its time, but not what is pinned or used', async () => {
    const used = await fixture.loaded('used', 100);
    const pinned = await fixture.loaded('pinned', 100);
    await fixture.loaded('idle', 100);
    fixture.pinned.add(pinned);
    fixture.clock.advance(HOUR_MS - 1);
    await fixture.memory.retireIdle();
    expect(fixture.released).toEqual([]);
    used.lastUsedAtMs = fixture.clock.now();
    fixture.clock.advance(1);
    await fixture.memory.retireIdle();
    expect(fixture.released).toEqual(['idle']);
    fixture.options.modelIdleMs = 0;
    fixture.clock.advance(HOUR_MS);
    await fixture.memory.retireIdle();
    expect(fixture.released).toEqual(['idle']);
  });
});
