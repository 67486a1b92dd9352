import { ownHierarchy } from './memory-hierarchy';

const V1 = '35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory';
const V2 = '41 31 0:38 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate';
const ROOT = '24 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw';

it.each([
  ['v1', '4:memory:/jobs/7\n0::/', [ROOT, V1], 'cgroup_v1', '/sys/fs/cgroup/memory/jobs/7'],
  ['v1 with other controllers', '4:cpu,memory:/a', [V1], 'cgroup_v1', '/sys/fs/cgroup/memory/a'],
  ['v2', '0::/system.slice/sibyl.service', [ROOT, V2], 'cgroup_v2', '/sys/fs/cgroup/system.slice/sibyl.service'],
  ['v2 with the root as own group', '0::/', [V2], 'cgroup_v2', '/sys/fs/cgroup'],
  ['v1 beside v2', '4:memory:/a\n0::/b', [V2, V1], 'cgroup_v1', '/sys/fs/cgroup/memory/a'],
  [
    'a mount of a part of the tree',
    '4:memory:/docker/x/sub',
    [V1.replace(' / /sys', ' /docker/x /sys')],
    'cgroup_v1',
    '/sys/fs/cgroup/memory/sub',
  ],
  ['blanks', '0::/a', [V2.replace('/sys/fs/cgroup', '/my\\040groups')], 'cgroup_v2', '/my groups/a'],
])('finds the group of a process: %s', (_name, cgroups, mounts, kind, folder) => {
  expect(ownHierarchy(cgroups, mounts.join('\n'))).toEqual({ kind, folder });
});

it.each([
  ['nothing mounted', '4:memory:/a\n0::/', [ROOT]],
  ['a group outside of what is mounted', '0::/../other', [V2]],
  ['another part of the tree', '4:memory:/docker/y', [V1.replace(' / /sys', ' /docker/x /sys')]],
  ['a neighbour that begins alike', '4:memory:/docker/xy', [V1.replace(' / /sys', ' /docker/x /sys')]],
  ['no groups', '', [V1, V2]],
])('finds none: %s', (_name, cgroups, mounts) => {
  expect(ownHierarchy(cgroups, mounts.join('\n'))).toBeUndefined();
});
