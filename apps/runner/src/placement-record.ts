import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { EXECUTION_PROVIDERS } from '@sibyl/protocol';

/** A record of a graph of 100,000 nodes; a larger one is left unread rather than fill the runner's memory. */
const RECORD_BYTES = 128 * 1024 * 1024;

/** Between devices the runtime puts copies of its own: they compute nothing. */
const COPY = /^Memcpy/;

interface RecordedEvent {
  readonly cat?: string;
  readonly name?: string;
  readonly args?: { readonly op_name?: string; readonly provider?: string; readonly node_index?: string };
}

/**
 * Which provider computed each node of a run. The binding cannot be asked: a session that was made "with CUDA" may have
 * put every node on the CPU, as it does with trees. The runtime's own profile of one run says it, in a file.
 */
export class PlacementRecord {
  private readonly folder = mkdtempSync(path.join(tmpdir(), 'sibyl-placement-'));

  /** Of the session whose run is recorded. */
  get options(): { readonly enableProfiling: true; readonly profileFilePrefix: string } {
    return { enableProfiling: true, profileFilePrefix: path.join(this.folder, 'run') };
  }

  /** Nodes by provider, once the session has ended its profile; undefined where that says nothing. */
  read(): Readonly<Record<string, number>> | undefined {
    try {
      const [name = ''] = readdirSync(this.folder);
      const file = path.join(this.folder, name);
      return statSync(file).size > RECORD_BYTES ? undefined : nodesByProvider(readFileSync(file, 'utf8'));
    } catch {
      // Without a record nothing is known, which is what is told.
      return undefined;
    }
  }

  discard(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Counts the nodes of a profile by the name of their provider. */
export function nodesByProvider(profile: string): Record<string, number> | undefined {
  const seen = new Set<string>();
  const counts: Record<string, number> = {};
  for (const { cat, name = '', args } of JSON.parse(profile) as RecordedEvent[]) {
    if (cat !== 'Node' || args?.provider === undefined || COPY.test(args.op_name ?? '')) continue;
    // A node in the body of a loop ran many times.
    const node = `${name} ${args.node_index}`;
    if (seen.has(node)) continue;
    seen.add(node);
    const provider = EXECUTION_PROVIDERS.find(({ runtimeName }) => runtimeName === args.provider)?.name;
    counts[provider ?? args.provider] = (counts[provider ?? args.provider] ?? 0) + 1;
  }
  return seen.size === 0 ? undefined : counts;
}
