import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, readdirSync } from 'node:fs';
import { getPriority, setPriority } from 'node:os';
import { whileYielding } from './runner-process';

describe('whileYielding', () => {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => undefined, 1000)'], { stdio: 'ignore' });
  afterAll(() => child.kill('SIGKILL'));
  const capabilities = parseInt(/^CapEff:\s*(.*)$/m.exec(readFileSync('/proc/self/status', 'utf8'))![1]!.slice(-8), 16);
  const privileged = (capabilities & (1 << 23)) !== 0;

  it('lowers the priority of a process for some work, where that can be undone', async () => {
    const seen = await whileYielding(child.pid, 0, () => Promise.resolve(getPriority(child.pid)));
    expect(seen).toBe(privileged ? 10 : 0);
    expect(getPriority(child.pid)).toBe(0);
  });

  it('raises it again when the work fails, and not above what the process shall have', async () => {
    setPriority(child.pid!, 3);
    const failing = whileYielding(child.pid, 3, () => Promise.reject(new Error('no')));
    await expect(failing).rejects.toThrow('no');
    expect(getPriority(child.pid)).toBe(3);
  });

  it('raises that of the threads too which the process began meanwhile', async () => {
    const script =
      'new (require("worker_threads").Worker)("setInterval(() => 0, 1000)", { eval: true }).on("online", () => console.log())';
    const starting = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'ignore'] });
    try {
      await whileYielding(starting.pid, 0, () => once(starting.stdout, 'data'));
      const threads = readdirSync(`/proc/${starting.pid}/task`).map(Number);
      expect(threads.length).toBeGreaterThan(5);
      expect(new Set(threads.map((thread) => getPriority(thread)))).toEqual(new Set([0]));
    } finally {
      starting.kill('SIGKILL');
    }
  });
});
