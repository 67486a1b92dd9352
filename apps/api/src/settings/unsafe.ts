const GUESSABLE = new Set(['postgres', 'password', 'changeme', 'secret', 'admin', 'sibyl']);

/** A password that is tried first by whoever reaches the port. Sockets are guarded by the file system instead. */
export function weakDatabasePassword(url: string | undefined): string | undefined {
  if (url === undefined || !URL.canParse(url)) return undefined;
  const { hostname, username, password } = new URL(url);
  if (hostname === '' || password === '' || !(GUESSABLE.has(password) || password === username)) return undefined;
  return 'its password is one of those that are guessed first';
}

/** A page that came over plain HTTP can be changed on its way, and then calls with the key of its user. */
export function plainHttpOrigin(origins: readonly string[]): string | undefined {
  const plain = origins.find((origin) => origin.startsWith('http://'));
  return plain === undefined ? undefined : `${plain} is not https`;
}

/** An answer without its record is what the audit log is there to rule out. */
export function lostByACrash(durability: 'durable' | 'relaxed'): string | undefined {
  return durability === 'relaxed'
    ? 'a crash of the machine would lose events of predictions and reads that were answered'
    : undefined;
}

export function wholeFileSystem(folders: readonly string[]): string | undefined {
  return folders.includes('/') ? 'it opens the whole file system to imports' : undefined;
}
