import { DomainError } from '@sibyl/kernel';
import { isObject, type JsonObject } from '../json-document';
import type { OutgoingHttp } from './outgoing-http';
import { unavailable } from './outgoing-http';

/** A version of MLflow's registry. */
export interface MlflowVersion {
  readonly name: string;
  readonly version: string;
  readonly stage?: string;
  readonly status: string;
  readonly runId?: string;
  readonly loggedModelId?: string;
}

export interface MlflowRun {
  readonly artifactUri: string;
  /** Ids of the models that MLflow 3 keeps beside the run. */
  readonly loggedModels: readonly string[];
}

export interface MlflowLoggedModel {
  readonly id: string;
  readonly name: string;
  readonly artifactUri: string;
  readonly runId?: string;
}

/** Bytes of one answer of the API; a listing of 10,000 files has 2 MB. */
const ANSWER_BYTES = 8 * 1024 * 1024;
const API = 'api/2.0/mlflow';

/** The part of MLflow's REST interface that an import needs, over its tracking URI. */
export class MlflowClient {
  constructor(
    readonly base: URL,
    readonly http: OutgoingHttp,
    private readonly pointer: string,
  ) {}

  /** What tells this server from others, however its URI was written. */
  get server(): string {
    return serverOf(this.base);
  }

  /** `path` under the tracking URI, which may have one itself. What a model is called there must not lead out of it. */
  url(path: string, query: Readonly<Record<string, string>> = {}): URL {
    if (path.split('/').some((segment) => /^(?:\.|%2e){1,2}$/i.test(segment)))
      throw new DomainError('model_rejected', 'MLflow names files of the model by a path that leads somewhere else.', {
        faults: [{ pointer: this.pointer, expected: 'a path without . and ..', received: path.slice(0, MESSAGE_MAX) }],
      });
    const url = new URL(`${this.base.pathname.replace(/\/$/, '')}/${path}`, this.base.origin);
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    return url;
  }

  async version(name: string, version: string, signal: AbortSignal): Promise<MlflowVersion> {
    const answer = await this.call(`${API}/model-versions/get`, { name, version }, signal);
    return this.read(named(readVersion(answer['model_version']), name, version));
  }

  async byAlias(name: string, alias: string, signal: AbortSignal): Promise<MlflowVersion> {
    const answer = await this.call(`${API}/registered-models/alias`, { name, alias }, signal);
    return this.read(named(readVersion(answer['model_version']), name));
  }

  /** The newest version in a stage, or of all; undefined where there is none. */
  async newest(name: string, stage: string | undefined, signal: AbortSignal): Promise<MlflowVersion | undefined> {
    const query = stage === undefined ? { name } : { name, stages: stage };
    const answer = await this.call(`${API}/registered-models/get-latest-versions`, query, signal);
    const versions = entries(answer['model_versions']).flatMap((entry) => named(readVersion(entry), name) ?? []);
    // MLflow reads stages by their exact words only in some of its releases.
    const matching = versions.filter((found) => stage === undefined || same(found.stage, stage));
    return matching.sort((a, b) => Number(b.version) - Number(a.version))[0];
  }

  async artifactUri(name: string, version: string, signal: AbortSignal): Promise<string> {
    const answer = await this.call(`${API}/model-versions/get-download-uri`, { name, version }, signal);
    return this.read(text(answer['artifact_uri']));
  }

  async run(id: string, signal: AbortSignal): Promise<MlflowRun> {
    const answer = await this.call(`${API}/runs/get`, { run_id: id }, signal);
    const run = objectOf(answer['run']);
    const artifactUri = this.read(text(objectOf(run['info'])['artifact_uri']));
    const outputs = entries(objectOf(run['outputs'])['model_outputs']);
    const loggedModels = outputs.slice(0, MODELS_MAX).flatMap((output) => text(output['model_id']) ?? []);
    return { artifactUri, loggedModels };
  }

  async loggedModel(id: string, signal: AbortSignal): Promise<MlflowLoggedModel> {
    const answer = await this.call(`${API}/logged-models/${encodeURIComponent(id)}`, {}, signal);
    const info = objectOf(objectOf(answer['model'])['info']);
    const runId = text(info['source_run_id']);
    return {
      id,
      name: text(info['name']) ?? '',
      artifactUri: this.read(text(info['artifact_uri'])),
      ...(runId === undefined ? {} : { runId }),
    };
  }

  /** What lies directly in a folder, folders with a slash at their end, as a listing of MLflow gives them: paths, some from one root, some from another. */
  async files(path: string, query: Readonly<Record<string, string>>, signal: AbortSignal): Promise<readonly string[]> {
    const answer = await this.call(path, query, signal);
    return entries(answer['files']).flatMap((file) => {
      const name = text(file['path']);
      if (name === undefined) return [];
      return file['is_dir'] === true ? `${name}/` : name;
    });
  }

  private async call(path: string, query: Readonly<Record<string, string>>, signal: AbortSignal): Promise<JsonObject> {
    const url = this.url(path, query);
    const { status, bytes } = await this.http.getBytes(url, { signal }, ANSWER_BYTES);
    const body = parsed(bytes);
    if (status === 200 && body) return body;
    if (status === 401 || status === 403)
      throw this.refused('MLflow does not let this server read that.', `status ${status}`);
    if (status >= 400 && status < 500) {
      throw this.refused('MLflow has no such model, version or run.', text(body?.['message']) ?? `status ${status}`);
    }
    throw unavailable(url, `status ${status} that is no answer of MLflow`);
  }

  private read<T>(value: T | undefined): T {
    if (value === undefined) throw unavailable(this.base, 'an answer that MLflow does not give');
    return value;
  }

  private refused(detail: string, received: string): DomainError {
    return new DomainError('invalid_parameter', detail, {
      faults: [
        { pointer: this.pointer, expected: 'a model that MLflow has', received: received.slice(0, MESSAGE_MAX) },
      ],
    });
  }
}

const MODELS_MAX = 100;
const MESSAGE_MAX = 300;

export function same(a: string | undefined, b: string): boolean {
  return a?.toLowerCase() === b.toLowerCase();
}

/** An MLflow server by its address: two on one host have paths of their own. */
export function serverOf({ origin, pathname }: URL): string {
  return `${origin}${pathname.replace(/\/+$/, '')}`;
}

/** The version, if it is of the model that was asked for: another one's name would become that of a model here. */
function named(found: MlflowVersion | undefined, name: string, version = found?.version): MlflowVersion | undefined {
  const asked = found?.name === name && version !== undefined && BigInt(found.version) === BigInt(version);
  return asked ? found : undefined;
}

function readVersion(value: unknown): MlflowVersion | undefined {
  const entry = objectOf(value);
  const name = text(entry['name']);
  const version = text(entry['version']);
  if (name === undefined || version === undefined || !/^\d{1,18}$/.test(version)) return undefined;
  const stage = text(entry['current_stage']);
  const runId = text(entry['run_id']);
  const loggedModelId = text(entry['model_id']);
  return {
    name,
    version,
    status: text(entry['status']) ?? 'READY',
    ...(stage === undefined ? {} : { stage }),
    ...(runId === undefined ? {} : { runId }),
    ...(loggedModelId === undefined ? {} : { loggedModelId }),
  };
}

function parsed(bytes: Buffer): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(bytes.toString('utf8'));
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function entries(value: unknown): JsonObject[] {
  return Array.isArray(value) ? value.filter(isObject) : [];
}

function objectOf(value: unknown): JsonObject {
  return isObject(value) ? value : {};
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}
