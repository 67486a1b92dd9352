import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
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
});
