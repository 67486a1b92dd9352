import { Injectable, ValidationPipe, type ArgumentMetadata } from '@nestjs/common';
import { getMetadataStorage, type ValidationError } from 'class-validator';
import { DomainError, nearestWords, received, type FieldFault } from '@sibyl/kernel';

/** Most faults of one answer; a body of 10 MiB could hold a million. */
const FAULTS = 64;
/** Most fields that a detail names; all are in the faults. */
const NAMED = 8;

/** Checks bodies and queries against their DTO, refuses what they do not know, and names every fault at once. */
@Injectable()
export class RequestValidationPipe extends ValidationPipe {
  constructor() {
    super({
      transform: true,
      whitelist: true,
      forbidNonWhitelisted: true,
      forbidUnknownValues: true,
      // The nearest known field is looked up in the class of what was checked.
      validationError: { target: true, value: true },
      exceptionFactory: (errors: ValidationError[]) => validationProblem(errors),
    });
  }

  // class-transformer leaves these names out before anybody can refuse them.
  override async transform(value: unknown, metadata: ArgumentMetadata): Promise<unknown> {
    if (metadata.type === 'body' || metadata.type === 'query') refuseInherited(value);
    return super.transform(value, metadata) as Promise<unknown>;
  }
}

/** Refuses members named like those that every object has: no DTO knows them, and some are dangerous to copy. */
function refuseInherited(value: unknown): void {
  const faults: FieldFault[] = [];
  findInherited(value, '', faults);
  if (faults.length === 0) return;
  throw unknownFields(faults, faults);
}

/** Says in words what the faults say, the nearest known field included, as the predict routes do. */
export function unknownFields(unknown: readonly FieldFault[], faults: readonly FieldFault[]): DomainError {
  const detail = unknown.slice(0, NAMED).map((fault) => {
    const hint = fault.hint === undefined ? '' : ` ${fault.hint.charAt(0).toUpperCase()}${fault.hint.slice(1)}`;
    return `Unknown field '${nameOf(fault)}'.${hint}`;
  });
  return new DomainError('unknown_field', detail.join(' '), { faults });
}

/** Of an object that is read by hand: refuses every member that is none of these. */
export function refuseUnknown(object: object, known: readonly string[], parent = ''): void {
  const names = Object.keys(object).filter((name) => !known.includes(name));
  if (names.length === 0) return;
  const faults = names.slice(0, FAULTS).map((name) => unknownFault(name, known, `${parent}/${escaped(name)}`));
  throw unknownFields(faults, faults);
}

function findInherited(value: unknown, parent: string, faults: FieldFault[]): void {
  if (typeof value !== 'object' || value === null) return;
  for (const [name, member] of Object.entries(value)) {
    const pointer = `${parent}/${escaped(name)}`;
    if ((name in Object.prototype || name === 'prototype') && faults.length < FAULTS)
      faults.push({ pointer, received: 'a field that does not exist' });
    findInherited(member, pointer, faults);
  }
}

/** One error for all faults; unknown fields come first, because they are most often the reason for the others. */
function validationProblem(errors: readonly ValidationError[]): DomainError {
  const unknown: FieldFault[] = [];
  const wrong: FieldFault[] = [];
  for (const error of errors) collect(error, '', unknown, wrong);
  const faults = [...unknown, ...wrong].slice(0, FAULTS);
  if (unknown.length > 0) {
    return unknownFields(unknown, faults);
  }
  return new DomainError('invalid_parameter', `Wrong or missing: ${wrong.slice(0, NAMED).map(nameOf).join(', ')}.`, {
    faults,
  });
}

function collect(error: ValidationError, parent: string, unknown: FieldFault[], wrong: FieldFault[]): void {
  const pointer = `${parent}/${escaped(error.property)}`;
  const { whitelistValidation, unknownValue, ...others } = error.constraints ?? {};
  if (whitelistValidation !== undefined)
    unknown.push(unknownFault(error.property, error.target === undefined ? [] : fieldsOf(error.target), pointer));
  else if (unknownValue !== undefined || Object.keys(others).length > 0) {
    wrong.push({ pointer, expected: Object.values(others).join('; '), received: received(error.value) });
  }
  for (const child of error.children ?? []) collect(child, pointer, unknown, wrong);
}

function unknownFault(name: string, known: Iterable<string>, pointer: string): FieldFault {
  const [near] = nearestWords(name, known);
  return {
    pointer,
    received: 'a field that does not exist',
    ...(near === undefined ? {} : { hint: `did you mean '${near}'?` }),
  };
}

/** As a JSON pointer names it. */
function escaped(name: string): string {
  return name.slice(0, 128).replace(/~/g, '~0').replace(/\//g, '~1');
}

function fieldsOf(target: object): string[] {
  const rules = getMetadataStorage().getTargetValidationMetadatas(target.constructor, '', false, false);
  return [...new Set(rules.map((rule) => rule.propertyName))];
}

function nameOf(fault: FieldFault): string {
  return fault.pointer.slice(1);
}
