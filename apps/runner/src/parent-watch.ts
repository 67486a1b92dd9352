import { Socket } from 'node:net';
import { Worker, isMainThread, workerData } from 'node:worker_threads';

/**
 * Ends this process as soon as the server is gone, even while a model that never ends holds the main thread: a thread
 * of its own waits for the end of a second pipe, on which nothing is ever said.
 */
export function watchParent(fd: number): void {
  const worker = new Worker(__filename, {
    workerData: { fd },
    env: {},
    // It only waits; a small heap keeps a runner's idle memory low.
    resourceLimits: { maxOldGenerationSizeMb: 8, maxYoungGenerationSizeMb: 1, stackSizeMb: 1 },
  });
  worker.unref();
}

if (!isMainThread) {
  const { fd } = workerData as { fd: number };
  const end = (): boolean => process.kill(process.pid, 'SIGKILL');
  new Socket({ fd, readable: true }).on('error', end).on('close', end).resume();
}
