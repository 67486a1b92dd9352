import { FrameService } from './src/frame-service';
import { serveFrames } from './src/frame-loop';
import { watchParent } from './src/parent-watch';

const FRAMES_FD = 3;
const PARENT_FD = 4;

// Ctrl-C and a stop of the whole process group reach runners too. The server drains first and then closes the socket,
// which is the only way a runner ends in order.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => undefined);

const maxFrameBytes = Number(process.argv[2]);
if (!Number.isSafeInteger(maxFrameBytes) || maxFrameBytes <= 0) {
  process.stderr.write('A runner is started by the server, not by hand.\n');
  process.exit(64);
}

watchParent(PARENT_FD);
serveFrames(FRAMES_FD, new FrameService(maxFrameBytes), maxFrameBytes).then(
  () => process.exit(0),
  (error: unknown) => {
    process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    process.exit(1);
  },
);
