import { availableParallelism } from 'node:os';
import { IsInt, IsString, Max, Min, MinLength } from 'class-validator';

const MIB = 1024 * 1024;

/** Limits of the inference library; every one has a reason beside its default. */
export class InferenceOptions {
  /** The built runner: dist/apps/runner/main.js. */
  @IsString()
  @MinLength(1)
  runnerPath = '';

  /** Working folder of the runners: made if absent, and empty, because a model loaded there could name what lies in it. */
  @IsString()
  @MinLength(1)
  workFolder = '';

  /** One core is left to the server; more than four runners have to be asked for, because each takes 50 MiB and more. */
  @IsInt()
  @Min(1)
  @Max(256)
  runners = Math.max(1, Math.min(4, availableParallelism() - 1));

  /** Processes that wait, started and empty, to replace a runner that ends: 35 MiB, and a loss costs a load instead of a
   * start. One is enough, because losses come one at a time; 0 where memory is short. */
  @IsInt()
  @Min(0)
  @Max(1)
  spareRunners = 1;

  /** A model whose load takes more processor time gets processes of its own: so long a standstill shows in the slowest
   * answers of every model in the same process, and an own one takes 40 MiB, too much for models that load in less. */
  @IsInt()
  @Min(0)
  ownLoadMs = 50;

  /** … or which is larger: then its own process adds little, and ending that gives back memory which a heap would keep. */
  @IsInt()
  @Min(0)
  ownBytes = 32 * MIB;

  /** Processes of that kind in all, so that many large models do not make a machine out of processes; beyond it a large
   * model is loaded beside the others. */
  @IsInt()
  @Min(0)
  @Max(1024)
  ownRunners = 32;

  /** Where large models are kept in the form in which runners share their memory; nowhere if empty. */
  @IsString()
  preparedFolder = '';

  /** Models whose files are smaller are not prepared: mapping them would save less than a runner takes anyhow. */
  @IsInt()
  @Min(1)
  preparedModelBytes = 32 * MIB;

  /** Disk for that, of which a model takes twice its size; the least recently used go first. 0: nothing is prepared. */
  @IsInt()
  @Min(0)
  preparedBytes = 16 * 1024 * MIB;

  /** The processes of a model have more to do than they can do at once for about so long: it gets another one, at most
   * `runners`. Longer than a burst, shorter than the patience of callers. */
  @IsInt()
  @Min(1)
  growAfterMs = 500;

  /** … and loses it when not all of them were busy at any look for so long: to load it again costs a second. */
  @IsInt()
  @Min(1)
  shrinkAfterMs = 60_000;

  /** Requests that may wait for one model: a few seconds of work of a fast one. Past it they are refused at once. */
  @IsInt()
  @Min(1)
  queueRequests = 1024;

  /** Ms of work that may wait for one model, as far as its speed is known: after an overload it answers as usual within that. */
  @IsInt()
  @Min(1)
  queueWaitMs = 2000;

  /** Bytes of inputs that may wait for one model; a single request is taken whatever its size. */
  @IsInt()
  @Min(1)
  queueBytes = 256 * MIB;

  /** Ms that a batch may be expected to take. A request that comes just behind one waits that long, and a runner that is ended
   * loses that much work; rows win little by running in more than ten milliseconds together. */
  @IsInt()
  @Min(1)
  @Max(60_000)
  batchBudgetMs = 10;

  /** Largest frame in either direction: the largest body of 64 MiB, all one-digit INT64, is 256 MiB of tensors. */
  @IsInt()
  @Min(4096)
  @Max(2 ** 31)
  maxFrameBytes = 272 * MIB;

  /** A batch may always take this long: below it a slow machine and a hung model look the same. */
  @IsInt()
  @Min(50)
  runLimitMs = 2000;

  /** A batch may take this many times what batches of its model take. */
  @IsInt()
  @Min(2)
  runLimitFactor = 50;

  /** For a runner to say that it is ready; measured 100 to 200 ms, on a busy machine ten times that. */
  @IsInt()
  @Min(100)
  startLimitMs = 15_000;

  /** For loading one model in one runner: 4 GiB from a slow disk. */
  @IsInt()
  @Min(100)
  loadLimitMs = 120_000;

  /** For one warm-up run: first runs are up to 30 times slower than later ones. */
  @IsInt()
  @Min(100)
  warmupLimitMs = 10_000;

  /** For answering what waits when a model is unloaded or the server stops: the usual deadline of a request. */
  @IsInt()
  @Min(0)
  drainLimitMs = 10_000;

  /** A runner that ends before it has done any work starts again after this long, doubled each time. */
  @IsInt()
  @Min(1)
  restartDelayMs = 100;

  /** … up to this long, so that a broken machine neither spins nor stays down after it is mended. */
  @IsInt()
  @Min(1)
  restartDelayMaxMs = 5000;

  /** A runner that uses more is killed before the machine swaps or the kernel picks a victim. */
  @IsInt()
  @Min(64 * MIB)
  runnerMemoryBytes = 4096 * MIB;

  /** Where each runner gets a control group of its own, in which the kernel holds it to that: below the group of this process
   * if that may have some (`auto`), nowhere (`off`), or below one that an operator names. */
  @IsString()
  @MinLength(1)
  runnerGroups = 'auto';

  /** Losses of runners to one version without an answer of it in between, after which it is kept away from them: one or
   * two may be two bad requests, and each costs the other versions in that runner a tenth of a second. */
  @IsInt()
  @Min(1)
  @Max(1000)
  crashesInARow = 3;

  /** … and with answers in between: one every two seconds is what the versions beside it can bear. */
  @IsInt()
  @Min(1)
  @Max(1000)
  crashesMost = 30;

  /** Losses that are longer ago do not count: by then a bad input of an hour ago would add up with one of now. */
  @IsInt()
  @Min(100)
  crashWindowMs = 60_000;

  /** How long a version is kept away before one request may try: short for an operator, 0.3 % of a runner's time. */
  @IsInt()
  @Min(10)
  crashCoolDownMs = 30_000;

  /** Trials at once: each loads an untrusted model into a process of its own. */
  @IsInt()
  @Min(1)
  @Max(64)
  trials = 1;

  /** Trials that may wait for their turn. */
  @IsInt()
  @Min(0)
  trialQueue = 32;

  /** Of a trial, start, load and all samples together. */
  @IsInt()
  @Min(100)
  trialLimitMs = 60_000;

  /** Of a trial. */
  @IsInt()
  @Min(64 * MIB)
  trialMemoryBytes = 2048 * MIB;

  /** How often deadlines and limits are looked at, and so how late they may be noticed. */
  @IsInt()
  @Min(1)
  @Max(1000)
  tickMs = 20;

  /** Niceness of runners; above 0 the server's own work comes first. */
  @IsInt()
  @Min(0)
  @Max(19)
  niceness = 0;
}
