import path from 'node:path';

/** A folder of the kernel in which groups with a memory limit can be made, as far as its place tells. */
export interface MemoryHierarchy {
  readonly kind: 'cgroup_v1' | 'cgroup_v2';
  readonly folder: string;
}

interface Mount {
  readonly type: string;
  readonly root: string;
  readonly point: string;
  readonly options: readonly string[];
}

/**
 * The control group of a process, out of what /proc/self/cgroup and /proc/self/mountinfo say. Undefined where the group is
 * not below what is mounted: a container that sees only a part of the tree.
 */
export function ownHierarchy(cgroups: string, mountinfo: string): MemoryHierarchy | undefined {
  const mounts = mountinfo.split('\n').flatMap(readMount);
  for (const line of cgroups.split('\n')) {
    const [, controllers = '', group = ''] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (!controllers.split(',').includes('memory')) continue;
    const mount = mounts.find(({ type, options }) => type === 'cgroup' && options.includes('memory'));
    return mount && within(mount, group, 'cgroup_v1');
  }
  const [, unified] = /^0::(.*)$/m.exec(cgroups) ?? [];
  const mount = mounts.find(({ type }) => type === 'cgroup2');
  return mount && unified !== undefined ? within(mount, unified, 'cgroup_v2') : undefined;
}

function within(mount: Mount, group: string, kind: MemoryHierarchy['kind']): MemoryHierarchy | undefined {
  const below = path.posix.relative(mount.root, group);
  // The kernel writes `/..` for groups above what a container sees.
  const isOutside = group.split('/').includes('..') || below.split('/').includes('..');
  return isOutside ? undefined : { kind, folder: path.posix.join(mount.point, below) };
}

function readMount(line: string): Mount[] {
  const [before = '', after] = line.split(' - ');
  if (after === undefined) return [];
  const [, , , root = '/', point = '/'] = before.split(' ').map(unescaped);
  const [type = '', , options = ''] = after.split(' ');
  return [{ type, root, point, options: options.split(',') }];
}

/** Blanks in paths are written as \040. */
function unescaped(text: string): string {
  return text.replace(/\\(\d{3})/g, (_all, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}
