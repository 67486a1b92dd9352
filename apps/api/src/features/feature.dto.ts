import { TRAINING_FORMATS, type TrainingFormat } from '@sibyl/features';
import { DomainError } from '@sibyl/kernel';
import { ChoiceField, TextField, WholeField } from '../http/fields';

export class PushQuery {
  @TextField({ description: 'The stream of events that name none.', example: 'candles_1m', max: 63, optional: true })
  stream?: string;
}

export class PublishQuery {
  @ChoiceField({
    description: 'Checks and compares the definition, and writes nothing.',
    of: ['true', 'false'],
    fallback: 'false',
    optional: true,
  })
  dry_run?: 'true' | 'false';

  @ChoiceField({ description: 'The same as `dry_run`; not both.', of: ['true', 'false'], optional: true })
  dryRun?: 'true' | 'false';
}

/** Whether a publication is a dry run. Throws invalid_parameter where both names are there. */
export function isDryRun({ dry_run: asked, dryRun }: PublishQuery): boolean {
  if (asked !== undefined && dryRun !== undefined) {
    throw new DomainError('invalid_parameter', "Not both 'dry_run' and 'dryRun'.", {
      faults: [{ pointer: '/dryRun', expected: "either 'dry_run' or 'dryRun'", received: 'both' }],
    });
  }
  return (asked ?? dryRun) === 'true';
}

/** For rows as JSON lines; a request in JSON says all in its body. */
export class HistoricalQuery {
  @TextField({
    description: 'Of rows as JSON lines: the feature set.',
    example: 'btc_inputs',
    max: 128,
    optional: true,
  })
  set?: string;

  @TextField({ description: 'Of rows as JSON lines: `now`, or a time.', example: 'now', max: 64, optional: true })
  known_at?: string;

  @ChoiceField({ description: 'Of rows as JSON lines.', of: TRAINING_FORMATS, fallback: 'ndjson', optional: true })
  format?: TrainingFormat;

  @ChoiceField({ description: 'Of rows as JSON lines.', of: ['true', 'false'], fallback: 'false', optional: true })
  statuses?: 'true' | 'false';
}

export class QualityQuery {
  @TextField({ description: 'Name of a view; left out: all.', example: 'btc_technical', max: 63, optional: true })
  view?: string;

  @WholeField({ description: 'So many minutes back.', min: 1, max: 60, fallback: 15, query: true, optional: true })
  minutes?: number;
}

export class BackfillBody {
  @TextField({ description: 'A view, or `view@` and the beginning of a hash.', example: 'btc_technical', max: 140 })
  view!: string;

  @TextField({ description: 'RFC 3339 with a zone.', example: '2026-01-15T00:00:00Z', max: 64 })
  from!: string;

  @TextField({ description: 'Left out: now.', example: '2026-01-15T12:00:00Z', max: 64, optional: true })
  to?: string;

  @TextField({ description: '`1m`, `1h`, `1d`.', example: '1h', max: 32 })
  step!: string;
}
