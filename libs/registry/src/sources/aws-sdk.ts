import { createRequire } from 'node:module';
import type * as S3Sdk from '@aws-sdk/client-s3';

const load = createRequire(__filename);

/**
 * Loaded by whoever needs it first: it takes a tenth of a second and 20 MB, which a server without S3 has better uses for. Later
 * calls find it in Node's cache of modules.
 */
export function awsSdk(): typeof S3Sdk {
  return load('@aws-sdk/client-s3') as typeof S3Sdk;
}
