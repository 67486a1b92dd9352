import { FileServer } from './file-server';

interface RegisteredVersion {
  readonly version: string;
  stage: string;
  status: string;
}

const PROXY = '/api/2.0/mlflow-artifacts/artifacts';

/** What MLflow answers to an import, as the conformance run saw it, for what a real one cannot be made to say. */
export class MlflowServer {
  readonly versions = new Map<string, RegisteredVersion[]>();
  readonly aliases = new Map<string, string>();
  /** Instead of the names that are there. */
  listing: readonly string[] | undefined;

  private constructor(readonly http: FileServer) {}

  static async start(): Promise<MlflowServer> {
    const made = new MlflowServer(await FileServer.start());
    made.answer('/api/2.0/mlflow/model-versions/get', (query) => {
      const found = made.find(query, query.get('version'));
      return found && { model_version: found };
    });
    made.answer('/api/2.0/mlflow/registered-models/alias', (query) => {
      const found = made.find(query, made.aliases.get(query.get('alias') ?? ''));
      return found && { model_version: found };
    });
    made.answer('/api/2.0/mlflow/registered-models/get-latest-versions', (query) => {
      const stage = query.get('stages');
      const versions = made.versions.get(query.get('name') ?? '') ?? [];
      const wanted = versions.filter((entry) => stage === null || entry.stage.toLowerCase() === stage.toLowerCase());
      return { model_versions: wanted.map(({ version }) => made.find(query, version)) };
    });
    made.answer('/api/2.0/mlflow/model-versions/get-download-uri', (query) => ({
      artifact_uri: `mlflow-artifacts:/${query.get('name')}/${query.get('version')}`,
    }));
    made.answer(PROXY, (query) => {
      const prefix = `${PROXY}/${query.get('path')}/`;
      const names = [...made.http.files.keys()].filter((file) => file.startsWith(prefix));
      const listed = made.listing ?? names.map((file) => file.slice(prefix.length));
      return { files: listed.map((path) => ({ path, is_dir: false, file_size: 1 })) };
    });
    return made;
  }

  /** Registers a version with these files. */
  register(name: string, stage: string, files: Readonly<Record<string, Buffer>>): string {
    const versions = this.versions.get(name) ?? [];
    this.versions.set(name, versions);
    const version = String(versions.length + 1);
    versions.push({ version, stage, status: 'READY' });
    for (const [file, content] of Object.entries(files))
      this.http.files.set(`${PROXY}/${name}/${version}/${file}`, content);
    return version;
  }

  stop(): Promise<void> {
    return this.http.stop();
  }

  private find(query: URLSearchParams, version: string | null | undefined): object | undefined {
    const name = query.get('name');
    const found = this.versions.get(name ?? '')?.find((entry) => entry.version === version);
    return found && { name, version, current_stage: found.stage, status: found.status, run_id: 'r1' };
  }

  private answer(path: string, body: (query: URLSearchParams) => object | undefined): void {
    this.http.handlers.set(path, (request, response) => {
      const found = body(new URL(request.url ?? '', this.http.url).searchParams);
      response.writeHead(found ? 200 : 404, { 'content-type': 'application/json' });
      response.end(JSON.stringify(found ?? { error_code: 'RESOURCE_DOES_NOT_EXIST', message: 'not there' }));
    });
  }
}
