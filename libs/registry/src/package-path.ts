import { DomainError } from '@sibyl/kernel';

const SEGMENT = /^[A-Za-z0-9_.+@=,() -]{1,128}$/;
const DEVICE = /^(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)/i;
const SEGMENTS_MAX = 4;
const PATH_MAX = 255;

/** Whether `name` is a path that a package may hold: relative, plain ASCII, at most four segments, never upwards. */
export function isPackagePath(name: string): boolean {
  if (name.length === 0 || name.length > PATH_MAX) return false;
  const segments = name.split('/');
  return segments.length <= SEGMENTS_MAX && segments.every(isSegment);
}

/** The path of a file inside a package, as it came from a client. Checked once, here; nothing decodes or joins it before. */
export function packagePath(name: string, pointer = '/file'): string {
  if (isPackagePath(name)) return name;
  throw new DomainError('invalid_parameter', 'A file of the package has a name that is not a plain relative path.', {
    faults: [
      {
        pointer,
        expected: `a relative path of at most ${SEGMENTS_MAX} segments of letters, digits, spaces and _ . + @ = , ( ) -`,
        received: shown(name),
      },
    ],
  });
}

/** The folders that a path leads through: `a` and `a/b` for `a/b/c`. */
export function parentsOf(name: string): string[] {
  const segments = name.split('/');
  return segments.slice(1).map((_, i) => segments.slice(0, i + 1).join('/'));
}

function isSegment(segment: string): boolean {
  // Windows drops dots and spaces at the end of a name, so two names would meet in one file.
  return SEGMENT.test(segment) && !/[. ]$/.test(segment) && !/^[. ]*$/.test(segment) && !DEVICE.test(segment);
}

function shown(name: string): string {
  return name.slice(0, 100).replace(/[^\x20-\x7e]/g, '?');
}
