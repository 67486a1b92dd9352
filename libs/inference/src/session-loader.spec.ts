import { FakeClock } from '@sibyl/kernel/testing';
import { FRAME_TYPES, FrameDecoder, FrameEncoder, type FrameType, type RunnerFrame } from '@sibyl/protocol';
import { InferenceOptions } from './inference-options';
import { RunnerLostError, type Runner, type RunnerEnd } from './runner';
import type { ServedVersion } from './served-version';
import { SessionLoader } from './session-loader';
import { QUIET_LOG } from './testing';

const LOADED = { provider: 'cpu', inputs: [], outputs: [], loadMs: 1, memoryBytes: 1 };
const END: RunnerEnd = { reason: 'crashed', code: 1, signal: null, stderr: '' };

let loader: SessionLoader;
let heldElsewhere: boolean;
beforeEach(() => {
  heldElsewhere = false;
  loader = new SessionLoader({
    options: new InferenceOptions(),
    clock: new FakeClock(),
    log: QUIET_LOG,
    holds: () => heldElsewhere,
  });
});

function frame(type: FrameType, message: object): RunnerFrame {
  const decoder = new FrameDecoder(1e6);
  decoder.push(new FrameEncoder(1e6).message(type, 1, 1, message));
  return decoder.next()!;
}

/** A version for so many of whose requests somebody waits. */
function add(session: number, depth: number, blocks = false): ServedVersion {
  const blamed: boolean[] = [];
  const version = {
    session,
    key: `${session}`,
    file: { key: `${session}`, path: `/models/${session}` },
    loadOptions: { warmup: [] },
    waiting: depth,
    refuseAll: () => undefined,
    breaker: { blocks, loaded: () => undefined },
    refusal: undefined,
    spreads: true,
    describe: () => undefined,
    blameLoad: (mayBeChance: boolean) => blamed.push(mayBeChance),
    blamed,
  } as unknown as ServedVersion;
  loader.versions.set(session, version);
  return version;
}

/** A runner that answers loads, and the sessions in the order in which it was asked. */
function runner(answer = (): RunnerFrame => frame(FRAME_TYPES.loaded, LOADED)): Runner {
  return {
    sessions: new Set<number>(),
    call: () => new Promise((resolve) => resolve(answer())),
  } as unknown as Runner;
}

describe('SessionLoader', () => {
  it('loads what requests wait for before it lets a runner take work, and the rest by and by', async () => {
    for (const [session, depth] of [0, 2, 0, 5].entries()) add(session, depth);
    const fresh = runner();
    await loader.loadAwaited(fresh);
    expect([...fresh.sessions]).toEqual([3, 1]);
    expect([await loader.loadNext(fresh), await loader.loadNext(fresh), await loader.loadNext(fresh)]).toEqual([
      true,
      false,
      false,
    ]);
    expect([...fresh.sessions]).toEqual([3, 1, 0, 2]);
  });

  it('leaves out what is kept away from runners', async () => {
    add(1, 3, true);
    const fresh = runner();
    await loader.loadAwaited(fresh);
    expect(await loader.loadNext(fresh)).toBe(false);
    expect(fresh.sessions.size).toBe(0);
  });

  it('blames a version in whose load the runner ends, and gives up one that does not load', async () => {
    const [ill, gone] = [add(1, 2), add(2, 1)];
    const ending = runner(() => {
      throw new RunnerLostError(END);
    });
    await expect(loader.loadNext(ending)).rejects.toThrow(RunnerLostError);
    expect((ill as unknown as { blamed: boolean[] }).blamed).toEqual([false]);
    loader.versions.delete(1);
    await loader.loadAwaited(runner(() => frame(FRAME_TYPES.loadFailed, { reason: 'model', message: 'no file' })));
    expect(gone.refusal).toMatchObject({ code: 'model_not_ready' });
  });

  it('leaves a version that does not load where it is held, and gives it up when nobody holds it any more', async () => {
    const version = add(1, 1);
    const fresh = runner(() => frame(FRAME_TYPES.loadFailed, { reason: 'model', message: 'no file' }));
    heldElsewhere = true;
    await loader.loadAwaited(fresh);
    expect([version.spreads, version.refusal, await loader.loadNext(fresh)]).toEqual([false, undefined, false]);
    heldElsewhere = false;
    await loader.loadAwaited(fresh);
    expect(version.refusal).toMatchObject({ code: 'model_not_ready' });
  });
});
