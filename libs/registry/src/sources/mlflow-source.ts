import { DomainError } from '@sibyl/kernel';
import { openHttp } from './http-source';
import { checkListedName } from './listed-names';
import type { MlflowClient, MlflowVersion } from './mlflow-client';
import type { MlflowUri } from './mlflow-uri';
import { onnxFileOf } from './mlmodel';
import type { RemotePackage, VersionSource } from './remote-package';

/** Opens a folder that lies in a store of its own, as S3; undefined where this server has no way to that store. */
export type OpenStore = (artifactUri: string) => Pick<RemotePackage, 'list' | 'open'> | undefined;

type Facts = Omit<VersionSource, 'uri' | 'fetchedAt' | 'registryUri'>;

/** Where the files of a model lie, and how MLflow itself gives them out where we cannot read there. */
interface Place {
  readonly artifactUri: string;
  readonly facts: Facts;
  readonly identity?: RemotePackage['identity'];
  /** Path and query of one file behind MLflow; undefined where it cannot be asked for one. */
  readonly file: (path: string) => { readonly path: string; readonly query: Readonly<Record<string, string>> };
  /** The same for the files of the folder. */
  readonly folder?: { readonly path: string; readonly query: Readonly<Record<string, string>> };
}

const PROXY = 'api/2.0/mlflow-artifacts/artifacts';

/** Finds what MLflow URIs mean, in the layouts of MLflow 2 and 3. */
export class MlflowSource {
  constructor(
    private readonly client: MlflowClient,
    private readonly openStore: OpenStore,
    private readonly pointer: string,
  ) {}

  async open(uri: MlflowUri, signal: AbortSignal): Promise<RemotePackage> {
    if (uri.kind === 'run') return this.package(await this.runPlace(uri.id, uri.path, signal));
    if (uri.kind === 'logged') return this.package(await this.loggedPlace(uri.id, {}, signal));
    return this.openVersion(await this.version(uri, signal), signal);
  }

  async openVersion(version: MlflowVersion, signal: AbortSignal): Promise<RemotePackage> {
    if (version.status !== 'READY') {
      throw this.refused(`Version ${version.version} is ${version.status} in MLflow.`, 'a version that is READY');
    }
    return this.package(await this.versionPlace(version, signal));
  }

  /** The version that a URI names at this moment. */
  async version(uri: Exclude<MlflowUri, { kind: 'run' | 'logged' }>, signal: AbortSignal): Promise<MlflowVersion> {
    if (uri.kind === 'version') return this.client.version(uri.name, uri.version, signal);
    if (uri.kind === 'alias') return this.client.byAlias(uri.name, uri.alias, signal);
    const stage = uri.kind === 'stage' ? uri.stage : undefined;
    const found = await this.client.newest(uri.name, stage, signal);
    if (found) return found;
    throw this.refused(
      `Model '${uri.name}' has no version ${stage === undefined ? '' : `in stage '${stage}' `}in MLflow.`,
      'a version',
    );
  }

  private async versionPlace(version: MlflowVersion, signal: AbortSignal): Promise<Place> {
    const { name, version: number, runId, loggedModelId } = version;
    const artifactUri = await this.client.artifactUri(name, number, signal);
    const folder = await this.folderOf(version, artifactUri, signal);
    return {
      ...(folder ? { folder } : {}),
      artifactUri,
      identity: { name, version: number },
      facts: {
        resolvedUri: `models:/${name}/${number}`,
        registryVersion: number,
        ...(runId === undefined ? {} : { runId }),
        ...(loggedModelId === undefined ? {} : { loggedModelId }),
      },
      file: (path) => ({ path: 'model-versions/get-artifact', query: { name, version: number, path } }),
    };
  }

  /** How the files of a version are listed: as those of its logged model, or of its run. There is no listing of versions. */
  private async folderOf(
    { runId, loggedModelId }: MlflowVersion,
    artifactUri: string,
    signal: AbortSignal,
  ): Promise<Place['folder']> {
    const id = loggedModelId ?? /\/models\/(m-[A-Za-z0-9]+)\/artifacts\/?$/.exec(artifactUri)?.[1];
    if (id !== undefined) return { path: `api/2.0/${loggedArtifacts(id)}/directories`, query: {} };
    if (runId === undefined || this.proxyPath(artifactUri)) return undefined;
    const root = `${(await this.client.run(runId, signal)).artifactUri.replace(/\/$/, '')}/`;
    if (!artifactUri.startsWith(root)) return undefined;
    return runListing(runId, artifactUri.slice(root.length).replace(/\/$/, ''));
  }

  private async runPlace(id: string, path: string, signal: AbortSignal): Promise<Place> {
    const run = await this.client.run(id, signal);
    const list = runListing(id, path);
    const files = await this.client.files(list.path, list.query, signal);
    if (files.length > 0) {
      return {
        artifactUri: `${run.artifactUri.replace(/\/$/, '')}/${path}`,
        facts: { resolvedUri: `runs:/${id}/${path}`, runId: id },
        file: (file) => ({ path: 'get-artifact', query: { run_uuid: id, path: `${path}/${file}` } }),
        folder: list,
      };
    }
    // MLflow 3 keeps models beside the run and finds them by the name that they were logged under.
    for (const model of run.loggedModels) {
      const logged = await this.client.loggedModel(model, signal);
      if (logged.name === path) return this.loggedPlace(model, { runId: id }, signal);
    }
    throw this.refused('The run has no such model.', 'the path of a logged model');
  }

  private async loggedPlace(id: string, facts: Facts, signal: AbortSignal): Promise<Place> {
    const logged = await this.client.loggedModel(id, signal);
    const base = loggedArtifacts(id);
    return {
      artifactUri: logged.artifactUri,
      facts: {
        ...facts,
        resolvedUri: `models:/${id}`,
        loggedModelId: id,
        ...(logged.runId === undefined ? {} : { runId: logged.runId }),
      },
      file: (path) => ({ path: `ajax-api/2.0/${base}/files`, query: { artifact_file_path: path } }),
      folder: { path: `api/2.0/${base}/directories`, query: {} },
    };
  }

  private package({ facts, identity, ...place }: Place): RemotePackage {
    return {
      facts: { ...facts, registryUri: this.client.server },
      modelIn: { file: 'MLmodel', find: onnxFileOf },
      ...(identity ? { identity } : {}),
      ...this.storeOf(place),
    };
  }

  private storeOf(place: Pick<Place, 'artifactUri' | 'file' | 'folder'>): Pick<RemotePackage, 'list' | 'open'> {
    const proxied = this.proxyPath(place.artifactUri);
    if (proxied !== undefined) return this.behind(proxied.file, proxied.folder);
    const own = this.openStore(place.artifactUri);
    return own ?? this.behind(place.file, place.folder);
  }

  /** Where the artifacts that MLflow serves itself are, with its own name for the host or ours. */
  private proxyPath(uri: string): Pick<Required<Place>, 'file' | 'folder'> | undefined {
    const { base } = this.client;
    const prefixes = ['mlflow-artifacts:/', this.client.url(`${PROXY}/`).href];
    const [, path] =
      /^mlflow-artifacts:\/\/[^/]+\/(.+)$/.exec(uri) ??
      prefixes.filter((prefix) => uri.startsWith(prefix)).map((prefix) => [base.href, uri.slice(prefix.length)])[0] ??
      [];
    if (path === undefined) return undefined;
    const root = path
      .replace(/^\/+|\/+$/g, '')
      .split('/')
      .map(encodeURIComponent)
      .join('/');
    return {
      file: (file) => ({ path: `${PROXY}/${root}/${file.split('/').map(encodeURIComponent).join('/')}`, query: {} }),
      folder: { path: PROXY, query: { path: decodeURIComponent(root) } },
    };
  }

  /** Files that MLflow gives out itself. */
  private behind(file: Place['file'], folder: Place['folder']): Pick<RemotePackage, 'list' | 'open'> {
    const { client, pointer } = this;
    return {
      async list(signal) {
        if (folder === undefined) return undefined;
        const paths = await client.files(folder.path, folder.query, signal);
        for (const path of paths) checkListedName(path);
        return paths.map((path) => /[^/]*\/?$/.exec(path)?.[0] ?? '');
      },
      async open(name, resume, signal) {
        const { path, query } = file(name);
        const url = client.url(path, query);
        return openHttp(client.http, url, { resume, signal, required: false, file: name, pointer });
      },
    };
  }

  private refused(detail: string, expected: string): DomainError {
    return new DomainError('invalid_parameter', detail, { faults: [{ pointer: this.pointer, expected }] });
  }
}

function runListing(id: string, path: string): Required<Place>['folder'] {
  return { path: 'api/2.0/mlflow/artifacts/list', query: { run_id: id, path } };
}

function loggedArtifacts(id: string): string {
  return `mlflow/logged-models/${encodeURIComponent(id)}/artifacts`;
}
