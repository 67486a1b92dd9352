import type { S3Client } from '@aws-sdk/client-s3';
import { DomainError } from '@sibyl/kernel';
import { HostRules } from './host-rules';
import { httpPackage } from './http-source';
import { MlflowClient, serverOf } from './mlflow-client';
import { MlflowSource, type OpenStore } from './mlflow-source';
import { parseMlflowUri } from './mlflow-uri';
import { OutgoingGuard, type Resolve } from './outgoing-guard';
import { OutgoingHttp } from './outgoing-http';
import type { RemotePackage } from './remote-package';
import { s3Client, s3Package, type S3Place } from './s3-source';
import type { SourceOptions } from './source-options';

const SCHEME = /^([A-Za-z][A-Za-z0-9+.-]+):/;
const REMOTE: ReadonlySet<string> = new Set(['http', 'https', 's3', 'models', 'runs']);

/** Whether a URI names something that lies elsewhere. */
export function isRemote(uri: string): boolean {
  return REMOTE.has(SCHEME.exec(uri)?.[1]?.toLowerCase() ?? '');
}

type OpenedStore = ReturnType<OpenStore>;

/** Every place that packages can be fetched from, each behind the guard with the rules that are its own. */
export class RemoteSources {
  private s3: S3Client | undefined;

  constructor(
    private readonly options: SourceOptions,
    private readonly resolve?: Resolve,
    /** Where the store keeps packages: what lies there belongs to models that a caller may not read. */
    private readonly reserved?: S3Place,
  ) {}

  /** Finds what a URI names; nothing but descriptions is fetched yet. Connections stay open until `close`. */
  async open(uri: string, pointer: string, signal: AbortSignal): Promise<OpenedSource> {
    const scheme = SCHEME.exec(uri)?.[1]?.toLowerCase() ?? '';
    if (scheme === 's3') {
      if (!this.hasS3) throw notConfigured(pointer, 'AWS_ENDPOINT_URL_S3, AWS_REGION or AWS_ACCESS_KEY_ID');
      return { remote: this.s3Package(uri, pointer), close: () => undefined };
    }
    if (scheme === 'models' || scheme === 'runs') {
      const mlflow = this.mlflow(undefined, pointer);
      return opened(mlflow.http, () => mlflow.source.open(parseMlflowUri(uri, pointer), signal));
    }
    const client = this.httpClient(pointer);
    return opened(client, () => Promise.resolve(httpPackage(client, uri, pointer)));
  }

  /**
   * An MLflow server: the configured one, or another by its URI, which must then be among the hosts that imports may reach. Only
   * the configured one is sent its credentials, and only where that says that a model lies in S3 are ours for S3 used: another
   * would choose what is read with them. One on the same host under another path is another one.
   */
  mlflow(registryUri: string | undefined, pointer: string): OpenedMlflow {
    const configured = this.options.mlflowUri === undefined ? undefined : new URL(this.options.mlflowUri);
    const asked = registryUri === undefined ? configured : urlOf(registryUri, pointer);
    if (asked === undefined) throw notConfigured(pointer, 'MLFLOW_TRACKING_URI');
    const own = configured !== undefined && serverOf(asked) === serverOf(configured);
    const rules = own ? HostRules.endpoint(asked) : HostRules.listed(this.options.hosts);
    const guard = new OutgoingGuard(rules, pointer, this.resolve);
    guard.check(asked);
    const headers = own ? this.mlflowCredentials() : undefined;
    const http = new OutgoingHttp(guard, headers && { base: asked, headers });
    const client = new MlflowClient(asked, http, pointer);
    const openStore = (uri: string): OpenedStore => (own ? this.openStore(uri, pointer) : undefined);
    return { client, http, source: new MlflowSource(client, openStore, pointer) };
  }

  /** Refuses what needs the configured MLflow server where there is none. */
  requireMlflow(pointer: string): void {
    if (this.options.mlflowUri === undefined) throw notConfigured(pointer, 'MLFLOW_TRACKING_URI');
  }

  private openStore(artifactUri: string, pointer: string): OpenedStore {
    if (!artifactUri.startsWith('s3://') || !this.hasS3) return undefined;
    return this.s3Package(`${artifactUri.replace(/\/+$/, '')}/`, pointer);
  }

  private s3Package(uri: string, pointer: string): RemotePackage {
    return s3Package(this.s3Client(), uri, pointer, this.reserved);
  }

  private get hasS3(): boolean {
    const { s3Endpoint, s3Region, s3AccessKeyId } = this.options;
    return s3Endpoint !== undefined || s3Region !== undefined || s3AccessKeyId !== undefined;
  }

  private s3Client(): S3Client {
    this.s3 ??= s3Client(this.options, '/source_uri', this.resolve);
    return this.s3;
  }

  private httpClient(pointer: string): OutgoingHttp {
    return new OutgoingHttp(new OutgoingGuard(HostRules.listed(this.options.hosts), pointer, this.resolve));
  }

  private mlflowCredentials(): Record<string, string> | undefined {
    const { mlflowToken, mlflowUsername, mlflowPassword = '' } = this.options;
    // MLflow's own clients prefer the name and password, too.
    if (mlflowUsername !== undefined) {
      return { Authorization: `Basic ${Buffer.from(`${mlflowUsername}:${mlflowPassword}`).toString('base64')}` };
    }
    return mlflowToken === undefined ? undefined : { Authorization: `Bearer ${mlflowToken}` };
  }
}

export interface OpenedSource {
  readonly remote: RemotePackage;
  close(): void;
}

export interface OpenedMlflow {
  readonly client: MlflowClient;
  readonly http: OutgoingHttp;
  readonly source: MlflowSource;
}

async function opened(http: OutgoingHttp, find: () => Promise<RemotePackage>): Promise<OpenedSource> {
  try {
    return { remote: await find(), close: () => http.close() };
  } catch (error) {
    http.close();
    throw error;
  }
}

function urlOf(text: string, pointer: string): URL {
  if (URL.canParse(text)) return new URL(text);
  throw new DomainError('invalid_parameter', 'This is no address of an MLflow server.', {
    faults: [{ pointer, expected: 'http(s)://host[:port]', received: text.slice(0, 100) }],
  });
}

function notConfigured(pointer: string, setting: string): DomainError {
  return new DomainError('invalid_parameter', 'This server knows no place of that kind.', {
    faults: [{ pointer, expected: `another URI, or ${setting} in the settings of this server` }],
  });
}
