import { IsArray, IsBoolean, IsInt, Max, Min } from 'class-validator';

const MEBIBYTE = 1024 * 1024;

/** What a caller may send, and how long it may take over it. */
export class HttpOptions {
  /** A JSON body of the ordinary routes: a thousand keys of text fit many times over. */
  @IsInt()
  @Min(1024)
  @Max(1024 * MEBIBYTE)
  bodyBytes = 10 * MEBIBYTE;

  /** Nothing of ours nests deeper than eight; recursion in libraries gets dangerous from thousands on. */
  @IsInt()
  @Min(4)
  @Max(256)
  jsonDepth = 32;

  /** A body that takes longer is a stalled or hostile client; packages have their own limit. */
  @IsInt()
  @Min(100)
  bodyTimeoutMs = 30_000;

  /** Headers come in one packet; ten seconds are for very bad networks. */
  @IsInt()
  @Min(100)
  headersTimeoutMs = 10_000;

  /** Node's own default; four times what a browser with many cookies sends. */
  @IsInt()
  @Min(1024)
  headerBytes = 16 * 1024;

  /** An upload of 4 GiB at 5 MiB a second takes 14 minutes. */
  @IsInt()
  @Min(1000)
  uploadTimeoutMs = 15 * 60_000;

  /** All files of one package: the registry's own limit, enforced while they arrive. */
  @IsInt()
  @Min(1)
  artifactBytes = 4 * 1024 * MEBIBYTE;

  /** Files and fields of one package: external data is a few files, never thousands. */
  @IsInt()
  @Min(1)
  @Max(10_000)
  uploadParts = 256;

  /** Above the idle timeout of common load balancers (60 s), so that they close first. */
  @IsInt()
  @Min(1000)
  keepAliveTimeoutMs = 65_000;

  /** How long a creating call is waited for before it becomes an operation. */
  @IsInt()
  @Min(0)
  syncWaitMs = 30_000;

  /** Origins that browsers may call from; none: no CORS header is ever sent. */
  @IsArray()
  corsOrigins: readonly string[] = [];

  /** Sends Strict-Transport-Security: only where TLS ends in front of this server. */
  @IsBoolean()
  strictTransport = false;
}
