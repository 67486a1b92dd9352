import { IsArray, IsIn, IsInt, IsOptional, IsString, Max, Min } from 'class-validator';
import { SIGNATURE_POLICIES, type SignaturePolicy } from './signing/signature-policy';

const MEBIBYTE = 1024 * 1024;

/** What one package may hold. */
export class PackageLimits {
  /** Bytes of all files of a package; the contract's artifact limit, beyond which a model needs other hardware anyway. */
  @IsInt()
  @Min(1)
  artifactBytes = 4 * 1024 * MEBIBYTE;

  /** Bytes of sibyl.json; the largest real one, with a baseline of 1,000 features, has a third of it. */
  @IsInt()
  @Min(1024)
  @Max(16 * MEBIBYTE)
  manifestBytes = MEBIBYTE;

  /** Bytes of golden.json, which is parsed at once; larger tensors go into raw files beside it. */
  @IsInt()
  @Min(1024)
  @Max(256 * MEBIBYTE)
  goldenBytes = 32 * MEBIBYTE;

  /** Bytes of all raw files of golden.json together, all of them in memory during the replay. */
  @IsInt()
  @Min(1024)
  goldenRawBytes = 256 * MEBIBYTE;

  /** Samples replayed; enough for every branch of a decision, few enough for the validation limit. */
  @IsInt()
  @Min(1)
  goldenSamples = 1000;

  /** Bytes of model.sig; a signature over 4,096 files with the longest names is under 3 MiB. */
  @IsInt()
  @Min(1024)
  @Max(64 * MEBIBYTE)
  signatureBytes = 4 * MEBIBYTE;

  /** Files of a package; some exporters write external data as one file for each weight. */
  @IsInt()
  @Min(1)
  files = 4096;

  /** Nesting of sibyl.json and golden.json; the contract's depth for JSON bodies, plus the ranks of tensors. */
  @IsInt()
  @Min(4)
  jsonDepth = 40;
}

export class RegistryOptions extends PackageLimits {
  /** The content store; on one file system with its temporary folders, so that a rename is atomic. */
  @IsString()
  artifactFolder = '.sibyl/artifacts';

  /** The S3 bucket that keeps packages (AWS_S3_BUCKET); absent: they are in the artifact folder only. */
  @IsOptional()
  @IsString()
  artifactBucket?: string;

  /** Before the keys of all packages (SIBYL_ARTIFACT_PREFIX): one for each database. */
  @IsString()
  artifactPrefix = '';

  /** With a bucket: bytes of packages that this machine keeps copies of, beside those in use (SIBYL_ARTIFACT_COPY_BYTES); 16 of the largest. */
  @IsInt()
  @Min(0)
  artifactCopyBytes = 64 * 1024 * MEBIBYTE;

  /** Folders that `source_uri` may read; start-up packages named by the operator are not bound to them. */
  @IsArray()
  @IsString({ each: true })
  importFolders: string[] = [];

  /** What is asked of the signatures of all packages; the policy of a model may ask for more, never for less. */
  @IsIn(SIGNATURE_POLICIES)
  signaturePolicy: SignaturePolicy = 'none';

  /** Public keys whose signatures are believed: PEM files, and folders of them. */
  @IsArray()
  @IsString({ each: true })
  trustedKeys: string[] = [];

  /** Milliseconds that a trial load with its golden replay may take (SIBYL_VALIDATION_SECONDS). */
  @IsInt()
  @Min(1000)
  @Max(3_600_000)
  validationMs = 120_000;

  /** Days without a prediction before the bytes of a version may be deleted (SIBYL_KEEP_PREDICTED_DAYS); 0: a prediction keeps nothing. */
  @IsInt()
  @Min(0)
  @Max(36_500)
  keepPredictedDays = 30;

  /** Files that were sent by themselves and not registered yet: the shares of four models. */
  @IsInt()
  @Min(1)
  @Max(1_000_000)
  uploadsKept = 4 * 4096;

  /** Of them, those of one model: a package of the most files that one may have. */
  @IsInt()
  @Min(1)
  @Max(1_000_000)
  uploadsKeptOfModel = 4096;

  /** Bytes of those files together: the shares of four models. */
  @IsInt()
  @Min(1)
  uploadBytes = 32 * 1024 * MEBIBYTE;

  /** Of them, those of one model: a package of the largest size, and a file whose sender does not say how long it will be. */
  @IsInt()
  @Min(1)
  uploadBytesOfModel = 8 * 1024 * MEBIBYTE;

  /** Of them, those that are received at once in one process; each writes to the disk that serves. */
  @IsInt()
  @Min(1)
  @Max(1000)
  uploadsAtOnce = 8;

  /** Milliseconds that such a file is kept since something was added to it (SIBYL_UPLOAD_HOURS). */
  @IsInt()
  @Min(1000)
  uploadKeepMs = 24 * 3_600_000;

  /** Bytes of stored packages that are read again each second (SIBYL_SCRUB_BYTES_PER_SECOND); 0: none. A tenth of what a slow disk gives. */
  @IsInt()
  @Min(0)
  scrubBytesPerSecond = 4 * MEBIBYTE;

  /** Milliseconds after which a package is read again; disks forget in weeks, not in hours. */
  @IsInt()
  @Min(1000)
  scrubEveryMs = 7 * 24 * 3_600_000;

  /** Registrations that run at once; each holds a trial runner and its samples in memory. */
  @IsInt()
  @Min(1)
  @Max(16)
  registrationsAtOnce = 2;

  /** Registrations that may wait for their turn; more would outlive their callers. */
  @IsInt()
  @Min(0)
  @Max(1000)
  registrationsWaiting = 32;

  /** Golden misses kept in a report; the first ones tell the reason, and all are counted. */
  @IsInt()
  @Min(1)
  @Max(1000)
  missesListed = 50;

  /** Milliseconds after which a version left `registered` by a crash may come again with other bytes; longer than any validation. */
  @IsInt()
  @Min(1000)
  abandonedAfterMs = 15 * 60_000;

  /** Rows of one page of a list when the caller names no limit. */
  @IsInt()
  @Min(1)
  pageRows = 100;

  /** Most rows of one page of a list; a row carries its manifest. */
  @IsInt()
  @Min(1)
  @Max(10_000)
  pageRowsMax = 1000;
}
