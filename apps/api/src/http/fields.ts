import { applyDecorators } from '@nestjs/common';
import { ApiProperty, type ApiPropertyOptions } from '@nestjs/swagger';
import { Type } from 'class-transformer';
import {
  ArrayMaxSize,
  IsArray,
  IsBoolean,
  IsIn,
  IsInt,
  IsOptional,
  IsString,
  Matches,
  Max,
  MaxLength,
  Min,
  MinLength,
  ValidateBy,
  ValidateIf,
  ValidateNested,
} from 'class-validator';

/** What every field says; the decorators below make validation and OpenAPI from one statement. */
interface Field {
  readonly description: string;
  readonly example?: unknown;
  readonly optional?: boolean;
  /** `null` is as good as absent, or takes a value away. */
  readonly nullable?: boolean;
}

/** Text of limited length. */
export function TextField(
  field: Field & { readonly min?: number; readonly max: number; readonly pattern?: RegExp },
): PropertyDecorator {
  const { min = 1, max, pattern } = field;
  return fieldOf(
    field,
    { type: 'string', minLength: min, maxLength: max, ...(pattern ? { pattern: pattern.source } : {}) },
    [
      IsString(),
      MinLength(min),
      MaxLength(max),
      ...(pattern ? [Matches(pattern, { message: `$property must match ${pattern.source}` })] : []),
    ],
  );
}

/** A whole number. In a query it arrives as text, so `query` converts it; in a body text is refused. */
export function WholeField(
  field: Field & { readonly min: number; readonly max: number; readonly fallback?: number; readonly query?: boolean },
): PropertyDecorator {
  const { min, max, fallback, query } = field;
  const shape: ApiPropertyOptions = {
    type: 'integer',
    minimum: min,
    maximum: max,
    ...(fallback === undefined ? {} : { default: fallback }),
  };
  return fieldOf(field, shape, [IsInt(), Min(min), Max(max), ...(query === true ? [Type(() => Number)] : [])]);
}

/** Yes or no. */
export function TruthField(field: Field): PropertyDecorator {
  return fieldOf(field, { type: 'boolean' }, [IsBoolean()]);
}

/** One of a few words. */
export function ChoiceField(
  field: Field & { readonly of: readonly string[]; readonly fallback?: string },
): PropertyDecorator {
  const { of, fallback } = field;
  return fieldOf(field, { type: 'string', enum: [...of], ...(fallback === undefined ? {} : { default: fallback }) }, [
    IsIn(of, { message: `$property must be one of ${of.join(', ')}` }),
  ]);
}

/** Several texts. */
export function TextListField(field: Field & { readonly most: number; readonly max: number }): PropertyDecorator {
  return fieldOf(
    field,
    { type: 'array', items: { type: 'string', minLength: 1, maxLength: field.max }, maxItems: field.most },
    [
      IsArray(),
      ArrayMaxSize(field.most),
      IsString({ each: true }),
      MinLength(1, { each: true }),
      MaxLength(field.max, { each: true }),
    ],
  );
}

/** Several values of more than one kind, which whoever takes them reads. */
export function ListField(field: Field & { readonly most: number }): PropertyDecorator {
  return fieldOf(field, { type: 'array', items: {}, maxItems: field.most }, [IsArray(), ArrayMaxSize(field.most)]);
}

/** An object with rules of its own. */
export function NestedField(field: Field, type: () => new () => object): PropertyDecorator {
  // swagger knows a deferred type by the name of its function.
  return fieldOf(field, { type: () => type() } as ApiPropertyOptions, [IsPlainObject(), ValidateNested(), Type(type)]);
}

/** Names and texts, whatever the names are; the library that takes them checks both. */
export function FilesField(field: Field): PropertyDecorator {
  return fieldOf(field, { type: 'object', additionalProperties: { type: 'string' } }, [IsPlainObject()]);
}

const RFC3339 = /^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})$/;

/** A point in time, RFC 3339 with its offset; dates that do not exist are refused. */
export function InstantField(field: Field): PropertyDecorator {
  return fieldOf({ example: '2026-01-15T10:30:00Z', ...field }, { type: 'string', format: 'date-time' }, [IsInstant()]);
}

function fieldOf(field: Field, shape: ApiPropertyOptions, rules: readonly PropertyDecorator[]): PropertyDecorator {
  const { description, example, optional = false, nullable = false } = field;
  const facts = {
    description,
    required: !(optional || nullable),
    nullable,
    ...(example === undefined ? {} : { example }),
  };
  const presence = nullable ? [IsOptional()] : optional ? [ValidateIf((_, value) => value !== undefined)] : [];
  return applyDecorators(ApiProperty({ ...shape, ...facts } as ApiPropertyOptions), ...presence, ...rules);
}

function IsInstant(): PropertyDecorator {
  return ValidateBy({
    name: 'isInstant',
    validator: {
      validate: (value): boolean => typeof value === 'string' && instantOf(value) !== undefined,
      defaultMessage: () => '$property must be a time of RFC 3339, such as 2026-01-15T10:30:00Z',
    },
  });
}

function IsPlainObject(): PropertyDecorator {
  return ValidateBy({
    name: 'isPlainObject',
    validator: {
      validate: (value): boolean => typeof value === 'object' && value !== null && !Array.isArray(value),
      defaultMessage: () => '$property must be an object',
    },
  });
}

/** Milliseconds of a time of RFC 3339; undefined for anything else. */
function instantOf(text: string): number | undefined {
  if (!RFC3339.test(text)) return undefined;
  const ms = Date.parse(text);
  // Date.parse turns 30 February into 1 or 2 March; the day of the month tells.
  const day = new Date(`${text.slice(0, 10)}T00:00:00Z`).getUTCDate();
  return Number.isNaN(ms) || day !== Number(text.slice(8, 10)) ? undefined : ms;
}
