import { Injectable } from '@nestjs/common';
import type { RecordChange } from '@sibyl/audit';
import { Gate, type Principal } from '@sibyl/auth';
import { DomainError } from '@sibyl/kernel';
import { ModelRegistry, type Registered } from '@sibyl/registry';
import { etagOf } from '../http/etag';
import type { PackageUpload } from '../http/package-upload';
import { LongWork, type LongCall } from '../operations/long-work';
import type { Reply } from '../operations/reply';
import type { LoadModelBody, RegisterVersionBody } from './model.dto';
import { toLoadedView, toVersionView } from './model.view';
import { Serving } from './serving';

/** Who asks for long work on a model, and how its change is recorded. */
export interface ModelCall {
  readonly caller: Principal;
  readonly record: RecordChange;
  readonly call: LongCall;
}

/** An upload, or where the package lies and where the request says so. */
type Source = { readonly folder: string } | { readonly uri: string; readonly pointer: string };

interface Identity {
  readonly name: string;
  readonly version?: string;
}

/** Takes packages in and brings versions into memory: work that may outlast the patience of a request. */
@Injectable()
export class Registrations {
  constructor(
    private readonly registry: ModelRegistry,
    private readonly serving: Serving,
    private readonly gate: Gate,
    private readonly work: LongWork,
  ) {}

  /** Registers an uploaded package, or one that `source_uri` names. */
  register(
    asked: ModelCall,
    name: string,
    body: RegisterVersionBody,
    upload: PackageUpload | undefined,
  ): Promise<Reply> {
    const { source_uri: uri, version } = body;
    if ((upload === undefined) === (uri === undefined)) throw oneSource();
    // The upload outlives its request where the work does.
    if (upload !== undefined) upload.claimed = true;
    const expect = { name, ...(version === undefined ? {} : { version }) };
    return this.work.run(asked.call, 'model.register', async () => {
      try {
        return registeredReply(await this.take(asked, upload ?? { uri: uri ?? '', pointer: '/source_uri' }, expect));
      } finally {
        await upload?.discard();
      }
    });
  }

  /** Loads a version; one that is not there yet is registered first, if the caller says from where. */
  load(asked: ModelCall, body: LoadModelBody): Promise<Reply> {
    const { model_id: name, version, registry_uri: uri } = body;
    this.gate.authorize(asked.caller, 'models:write', name);
    asked.call.context.model = { name, version };
    return this.work.run(asked.call, 'model.load', async () => {
      const known = await this.resolve(name, version, uri !== undefined);
      const exact =
        known ??
        (await this.take(asked, { uri: uri ?? '', pointer: '/registry_uri' }, { name, version })).version.version;
      return { status: 200, headers: {}, body: toLoadedView(await this.serving.load(name, exact)) };
    });
  }

  /** The exact version behind a version, alias or `latest`; undefined where it is unknown and may be fetched. */
  private async resolve(name: string, version: string, fetchable: boolean): Promise<string | undefined> {
    try {
      return (await this.registry.find(name, version)).version;
    } catch (error) {
      const unknown =
        error instanceof DomainError && (error.code === 'version_not_found' || error.code === 'model_not_found');
      if (unknown && fetchable) return undefined;
      throw error;
    }
  }

  private take({ caller, record }: ModelCall, source: Source, expect: Identity): Promise<Registered> {
    if ('folder' in source) return this.registry.registerFolder(caller.actor, source.folder, expect, record);
    return this.registry.importUri(caller.actor, { ...source, ...expect }, record);
  }
}

function registeredReply({ version, created }: Registered): Reply {
  const Location = `/v1/models/${encodeURIComponent(version.model)}/versions/${encodeURIComponent(version.version)}`;
  return {
    status: created ? 201 : 200,
    headers: { Location, ETag: etagOf(version.revision) },
    body: toVersionView(version),
  };
}

function oneSource(): DomainError {
  return new DomainError(
    'invalid_parameter',
    'Send the files of the package as multipart/form-data, or source_uri as JSON.',
    {
      faults: [{ pointer: '/source_uri', expected: 'a URI where no files are sent, and none where files are' }],
    },
  );
}
