import { ChoiceField, InstantField, TextField, TruthField, WholeField } from '../http/fields';

const MODEL = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;
const VERSION = /^[A-Za-z0-9.+_-]+$/;

export class ModelListQuery {
  @TextField({ description: 'Only this model.', example: 'momentum', max: 128, optional: true })
  name?: string;

  @ChoiceField({
    description: 'Only versions that are in memory, or only those that are not.',
    of: ['true', 'false'],
    optional: true,
  })
  loaded?: 'true' | 'false';

  @WholeField({ description: 'Rows of the page.', min: 1, max: 1000, fallback: 100, query: true, optional: true })
  limit?: number;

  @TextField({ description: '`next` of the page before.', max: 1024, optional: true })
  cursor?: string;
}

export class VersionQuery {
  @TextField({
    description: 'A version, an alias or `latest`. Without it: `production`, else `latest`.',
    max: 64,
    optional: true,
  })
  version?: string;
}

export class HistoryQuery {
  @WholeField({ description: 'Moves of the page.', min: 1, max: 1000, fallback: 100, query: true, optional: true })
  limit?: number;

  @TextField({ description: '`next` of the page before.', max: 1024, optional: true })
  cursor?: string;
}

export class AliasQuery {
  @InstantField({ description: 'What it pointed at then, instead of now.', optional: true })
  at?: string;
}

/** JSON beside multipart: the files are fetched, or lie on the server already. */
export class RegisterVersionBody {
  @TextField({
    description:
      'A package to import: a path or `file:` URI under the import folders; `https://…/sibyl.json` or `….onnx` of a host that imports may reach; `s3://bucket/prefix`; `models:/name/3`, `models:/name@alias`, `models:/name/Production`, `runs:/id/path` of the MLflow server.',
    example: 'file:///srv/sibyl/import/churn-1.0.0',
    max: 2048,
    optional: true,
  })
  source_uri?: string;

  @TextField({
    description: 'The version, where the package has no manifest to say it.',
    example: '1.0.0',
    max: 64,
    pattern: VERSION,
    optional: true,
  })
  version?: string;
}

export class LoadModelBody {
  @TextField({ description: 'Name of the model.', example: 'momentum', max: 128, pattern: MODEL })
  model_id: string;

  @TextField({ description: 'A version, an alias or `latest`.', example: '1.3.0', max: 64, pattern: VERSION })
  version: string;

  @TextField({
    description: 'Where the package lies, if the version is not registered yet: as `source_uri` of a registration.',
    max: 2048,
    optional: true,
  })
  registry_uri?: string;
}

export class ReasonBody {
  @TextField({
    description: 'Why; kept for ever in the audit log.',
    example: 'reviewed by risk on 12 January',
    max: 1000,
  })
  reason: string;
}

export class MoveAliasBody extends ReasonBody {
  @TextField({ description: 'The version that the alias shall point at.', example: '1.3.0', max: 64, pattern: VERSION })
  version: string;

  @TruthField({
    description: 'Promote it although callers of the present version will break; `breaking_change` lists in what.',
    example: false,
    optional: true,
  })
  allow_breaking?: boolean;
}

export class DiffQuery {
  @TextField({
    description: 'What it is compared with: a version, an alias or `latest`.',
    example: 'production',
    max: 64,
    pattern: VERSION,
  })
  against: string;
}
