'use strict';
// Loaded into the server before anything else (--require): tells whoever connects to the socket named in SIBYL_BENCH_LOOP how
// long the event loop was held at most since it was asked last.
const fs = require('node:fs');
const net = require('node:net');
const { monitorEventLoopDelay } = require('node:perf_hooks');

const file = process.env.SIBYL_BENCH_LOOP;
// The server refuses settings that it does not know.
delete process.env.SIBYL_BENCH_LOOP;

const RESOLUTION_MS = 1;
const delays = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
delays.enable();
fs.rmSync(file, { force: true });
net
  .createServer((socket) => {
    socket.on('error', () => undefined);
    socket.end(String(delays.count > 0 ? Math.max(0, delays.max / 1e6 - RESOLUTION_MS) : 0));
    delays.reset();
  })
  .listen(file)
  .unref();
