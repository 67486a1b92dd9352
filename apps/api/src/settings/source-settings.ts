import { RegistryOptions, SourceOptions } from '@sibyl/registry';
import { list, optionalText, text, whole } from './setting';

// Defaults are those of the options that the settings become, so that they are written once.
const SOURCE = new SourceOptions();
const REGISTRY = new RegistryOptions();
const URL_PATTERN = /^https?:\/\/[^\s/@]+(\/\S*)?$/;

/** Where packages come from beside folders. MLflow's and Amazon's own names, as their tools read them. */
export const SOURCES = {
  importHosts: list({
    name: 'SIBYL_IMPORT_HOSTS',
    type: 'host[:port], address or network',
    pattern: /^([A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?$|^[0-9A-Fa-f:.]+\/\d{1,3}$/,
    fallback: [],
    meaning:
      'Hosts that `source_uri` may read from. A private address is named itself; a name may lead to one where its network is in the list too (`10.0.0.0/8`), or where only private networks have such names: `minio`, `files.internal`, `x.local`.',
  }),
  importSeconds: whole({
    name: 'SIBYL_IMPORT_SECONDS',
    min: 1,
    max: 86_400,
    fallback: SOURCE.importMs / 1000,
    meaning: 'How long fetching one package from elsewhere may take.',
  }),
  mlflowUri: optionalText({
    name: 'MLFLOW_TRACKING_URI',
    type: 'http(s)://…, without credentials in it',
    pattern: URL_PATTERN,
    fallback: undefined,
    meaning: 'MLflow server that `models:/…` and `runs:/…` URIs are read from.',
  }),
  mlflowUsername: optionalText({
    name: 'MLFLOW_TRACKING_USERNAME',
    type: 'text',
    fallback: undefined,
    meaning: 'User that MLflow knows this server as.',
  }),
  mlflowPassword: optionalText({
    name: 'MLFLOW_TRACKING_PASSWORD',
    type: 'text',
    fallback: undefined,
    meaning: 'Password of that user.',
  }),
  mlflowToken: optionalText({
    name: 'MLFLOW_TRACKING_TOKEN',
    type: 'text',
    pattern: /^[\x21-\x7e]+$/,
    fallback: undefined,
    meaning: 'Bearer token for MLflow, where there is no user name.',
  }),
  s3Bucket: optionalText({
    name: 'AWS_S3_BUCKET',
    type: 'bucket name',
    pattern: /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/,
    fallback: undefined,
    meaning:
      'Bucket that keeps the packages of all versions; the folder in `SIBYL_DATA_DIR` is then a verified copy of what this server uses. Unset: that folder alone keeps them.',
  }),
  artifactPrefix: text({
    name: 'SIBYL_ARTIFACT_PREFIX',
    type: 'prefix of keys',
    pattern: /^[A-Za-z0-9][A-Za-z0-9._=/-]{0,255}$/,
    fallback: '',
    meaning: 'Stands before the keys of packages in that bucket: one for each database.',
  }),
  artifactCopyBytes: whole({
    name: 'SIBYL_ARTIFACT_COPY_BYTES',
    min: 0,
    max: 2 ** 50,
    fallback: REGISTRY.artifactCopyBytes,
    meaning:
      'With that bucket: how much of it this machine keeps a copy of. Past it the least recently used packages go, but none that is loaded or was used in the last 15 minutes.',
  }),
  s3Endpoint: optionalText({
    name: 'AWS_ENDPOINT_URL_S3',
    older: 'AWS_ENDPOINT_URL',
    type: 'http(s)://…, without credentials in it',
    pattern: URL_PATTERN,
    fallback: undefined,
    meaning: "An S3 server other than Amazon's; its buckets are addressed by path.",
  }),
  s3Region: optionalText({
    name: 'AWS_REGION',
    older: 'AWS_DEFAULT_REGION',
    type: 'name of a region',
    pattern: /^[a-z0-9-]{1,64}$/,
    fallback: undefined,
    meaning: 'Region of the buckets; `us-east-1` where only an endpoint or an access key is set.',
  }),
  s3AccessKeyId: optionalText({
    name: 'AWS_ACCESS_KEY_ID',
    type: 'text',
    pattern: /^[\x21-\x7e]+$/,
    fallback: undefined,
    meaning: 'Access key for S3. Unset: what the AWS SDK finds on this machine, such as the role of the instance.',
  }),
  s3SecretAccessKey: optionalText({
    name: 'AWS_SECRET_ACCESS_KEY',
    type: 'text',
    fallback: undefined,
    meaning: 'Secret of that access key.',
  }),
  s3SessionToken: optionalText({
    name: 'AWS_SESSION_TOKEN',
    type: 'text',
    pattern: /^[\x21-\x7e]+$/,
    fallback: undefined,
    meaning: 'Session token of that access key, where it is a temporary one.',
  }),
} as const;
