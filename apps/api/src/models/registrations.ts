import { Injectable } from '@nestjs/common';
import type { RecordChange } from '@sibyl/audit';
import { Gate, type Principal } from '@sibyl/auth';
import { DomainError, type FieldFault } from '@sibyl/kernel';
import { ModelRegistry, modelNameFault, versionFault, type OnProgress, type Registered } from '@sibyl/registry';
import { etagOf } from '../http/etag';
import type { PackageUpload } from '../http/package-upload';
import { LongWork, type LongCall } from '../operations/long-work';
import type { Reply } from '../operations/reply';
import type { LoadModelBody, ReasonBody, RegisterVersionBody } from './model.dto';
import { toLoadedView, toVersionView } from './model.view';
import { Serving } from './serving';
import { Uploads } from './uploads';

/** Who asks for long work on a model, and how its change is recorded. */
export interface ModelCall {
  readonly caller: Principal;
  readonly record: RecordChange;
  readonly call: LongCall;
}

/** An upload, or where the package lies and where the request says so. */
type Source =
  | { readonly folder: string }
  | { readonly files: Readonly<Record<string, unknown>> }
  | { readonly uri: string; readonly pointer: string };

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
    private readonly uploads: Uploads,
  ) {}

  /** Registers an uploaded package, or one that `source_uri` names. */
  register(
    asked: ModelCall,
    name: string,
    body: RegisterVersionBody,
    upload: PackageUpload | undefined,
  ): Promise<Reply> {
    const { source_uri: uri, version, files } = body;
    if ([upload, uri, files].filter((source) => source !== undefined).length !== 1) throw oneSource();
    const expect = { name, ...(version === undefined ? {} : { version }) };
    refuseNames(expect, { name: '/name', version: '/version' });
    return this.work.run(asked.call, 'model.register', async (signal, _, onProgress) => {
      // The upload outlives its request where the work does; where the work never begins, it goes with the request.
      if (upload !== undefined) upload.claimed = true;
      try {
        const source = upload ?? (files ? { files } : { uri: uri ?? '', pointer: '/source_uri' });
        return registeredReply(await this.take(asked, source, expect, { signal, onProgress }));
      } finally {
        await upload?.discard();
      }
    });
  }

  /** Validates a version again, step by step. */
  validate(asked: ModelCall, named: Required<Identity>, { reason }: ReasonBody): Promise<Reply> {
    const { name: model, version } = named;
    return this.work.run(asked.call, 'model.validate', async (signal, _, onProgress) => {
      const record = stoppable(asked.record, signal);
      const decision = { model, version, reason };
      const found = await this.registry.revalidate(asked.caller.actor, decision, record, { signal, onProgress });
      return { status: 200, headers: { ETag: etagOf(found.revision) }, body: toVersionView(found) };
    });
  }

  /** Loads a version; one that is not there yet is registered first, if the caller says from where. */
  load(asked: ModelCall, body: LoadModelBody): Promise<Reply> {
    const { model_id: name, version, registry_uri: uri } = body;
    this.gate.authorize(asked.caller, 'models:write', name);
    asked.call.context.model = { name, version };
    return this.work.run(asked.call, 'model.load', async (signal, id, onProgress) => {
      let exact = await this.resolve(name, version, uri !== undefined);
      if (exact === undefined) {
        refuseNames({ name, version }, { name: '/model_id', version: '/version' });
        // The load may yet fail after this change: the request keeps an event of its own.
        asked.call.context.recordChangesUnder(id);
        const source = { uri: uri ?? '', pointer: '/registry_uri' };
        exact = (await this.take(asked, source, { name, version }, { signal, onProgress })).version.version;
      }
      signal.throwIfAborted();
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

  /** Registers, unless the signal says to stop before that is committed. */
  private async take(asked: ModelCall, source: Source, expect: Identity, call: StoppableCall): Promise<Registered> {
    call.signal.throwIfAborted();
    const { caller } = asked;
    const record = stoppable(asked.record, call.signal);
    if ('folder' in source)
      return this.registry.registerFolder(caller.actor, source.folder, { ...expect, call }, record);
    if ('files' in source) {
      const may = this.uploads.mayTake(caller);
      return this.registry.registerFiles(caller.actor, { ...expect, call, files: source.files, may }, record);
    }
    return this.registry.importUri(caller.actor, { ...source, ...expect, call }, record);
  }
}

interface StoppableCall {
  readonly signal: AbortSignal;
  readonly onProgress: OnProgress;
}

/** The event is the last thing in the transaction: without it nothing is committed. */
function stoppable(record: RecordChange, signal: AbortSignal): RecordChange {
  return (tx, change) => {
    signal.throwIfAborted();
    return record(tx, change);
  };
}

function registeredReply({ version, created }: Registered): Reply {
  const Location = `/v1/models/${encodeURIComponent(version.model)}/versions/${encodeURIComponent(version.version)}`;
  return {
    status: created ? 201 : 200,
    headers: { Location, ETag: etagOf(version.revision) },
    body: toVersionView(version),
  };
}

/** Refuses a name or version that nothing can have, before a package is asked for it. */
function refuseNames({ name, version }: Identity, pointers: { readonly name: string; readonly version: string }): void {
  const faults: FieldFault[] = [];
  const check = (pointer: string, received: string, expected: string | undefined): void => {
    if (expected !== undefined) faults.push({ pointer, expected, received: received.slice(0, SHOWN) });
  };
  check(pointers.name, name, modelNameFault(name));
  if (version !== undefined) check(pointers.version, version, versionFault(version));
  if (faults.length === 0) return;
  throw new DomainError('invalid_parameter', 'No model or version can be registered under this name.', { faults });
}

/** Characters of a refused name that are repeated. */
const SHOWN = 64;

function oneSource(): DomainError {
  return new DomainError(
    'invalid_parameter',
    'Send the files of the package as multipart/form-data, or source_uri or files as JSON.',
    {
      faults: [{ pointer: '/source_uri', expected: 'a URI where no files are sent, and none where files are' }],
    },
  );
}
