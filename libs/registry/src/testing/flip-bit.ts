import { chmod, open } from 'node:fs/promises';

/** Flips one bit of a file, whatever its rights. */
export async function flipBit(file: string, at: number): Promise<void> {
  await chmod(file, 0o600);
  const handle = await open(file, 'r+');
  const byte = Buffer.alloc(1);
  await handle.read(byte, 0, 1, at);
  byte[0] = (byte[0] ?? 0) ^ 1;
  await handle.write(byte, 0, 1, at);
  await handle.close();
}
