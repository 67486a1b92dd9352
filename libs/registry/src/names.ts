import { DomainError, NEAR_MODELS, nearestWords } from '@sibyl/kernel';

const MODEL_NAME = /^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,126}[A-Za-z0-9])?$/;
const VERSION = /^[A-Za-z0-9.+_-]{1,64}$/;
const ALIAS = /^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?$/;
/** Names that one operating system or another opens as a device. */
const DEVICE = /^(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)/i;

const REASON_MAX = 1000;
const LOOKUP_MAX = 256;

/** The alias that is computed: of the versions that may serve, the one that arrived last. */
export const LATEST = 'latest';
/** The alias that a request without a version means. */
export const PRODUCTION = 'production';

/** What is wrong with a model's name, in words for its owner; undefined when nothing is. */
export function modelNameFault(name: string): string | undefined {
  if (!MODEL_NAME.test(name) || name.includes('..') || DEVICE.test(name)) {
    return '1 to 128 letters, digits, ".", "_" or "-", beginning and ending with a letter or digit, without ".."';
  }
  return undefined;
}

/** Refuses what no model can be called. */
export function checkModelName(model: string): void {
  const expected = modelNameFault(model);
  if (expected === undefined) return;
  throw new DomainError('invalid_parameter', 'No model can have this name.', {
    faults: [{ pointer: '/name', expected, received: model.slice(0, 64) }],
  });
}

/** What is wrong with a version; a version may not carry a name that a request reads as an alias. */
export function versionFault(version: string): string | undefined {
  if (!VERSION.test(version) || /^\.+$/.test(version)) return '1 to 64 of A-Z a-z 0-9 . + _ -';
  const word = version.toLowerCase();
  return word === LATEST || word === PRODUCTION ? `a version that is not the reserved word '${word}'` : undefined;
}

/** Refuses what cannot be an alias, and `latest`, which nobody moves. */
export function checkAlias(alias: string): void {
  if (alias.toLowerCase() === LATEST) {
    throw new DomainError('invalid_parameter', `The alias '${LATEST}' is computed and cannot be moved.`, {
      faults: [{ pointer: '/alias', expected: `another alias than '${LATEST}'` }],
    });
  }
  if (!ALIAS.test(alias) || alias.includes('..')) {
    throw new DomainError('invalid_parameter', 'An alias is 1 to 64 letters, digits, ".", "_" or "-".', {
      faults: [
        { pointer: '/alias', expected: 'letters, digits, ".", "_", "-", beginning and ending with a letter or digit' },
      ],
    });
  }
}

/** A name to look up: what no name can be, NUL included, which PostgreSQL refuses, becomes a name that nothing has. */
export function lookupName(text: string): string {
  return text.length > LOOKUP_MAX || text.includes('\0') ? '' : text;
}

/** Why something is done, as history shows it: required, one to 1,000 characters. */
export function checkReason(reason: string): string {
  const text = reason.trim();
  if (text.length === 0 || text.length > REASON_MAX || text.includes('\0')) {
    throw new DomainError('invalid_parameter', 'A reason is required.', {
      faults: [
        { pointer: '/reason', expected: `1 to ${REASON_MAX} characters`, received: `${text.length} characters` },
      ],
    });
  }
  return text;
}

/** model_not_found with the names that look alike. */
export function modelNotFound(name: string, known: Iterable<string>): DomainError {
  const nearModels = nearestWords(name, known, NEAR_MODELS);
  return new DomainError('model_not_found', `There is no model '${name.slice(0, 128)}'.`, { nearModels });
}

/** version_not_found, naming both. */
export function versionNotFound(model: string, version: string): DomainError {
  return new DomainError('version_not_found', `Model '${model}' has no version '${version.slice(0, 64)}'.`);
}

/** alias_not_found, naming both. */
export function aliasNotFound(model: string, alias: string): DomainError {
  return new DomainError('alias_not_found', `Model '${model}' has no alias '${alias.slice(0, 64)}'.`);
}
