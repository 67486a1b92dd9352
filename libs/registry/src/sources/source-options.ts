import { IsArray, IsInt, IsOptional, IsString, Max, Min } from 'class-validator';

/** Where packages may come from beside folders, and how long that may take. */
export class SourceOptions {
  /** `host[:port]`, addresses and networks that http: URIs may name. */
  @IsArray()
  @IsString({ each: true })
  hosts: string[] = [];

  /** The MLflow server of `models:/…` and `runs:/…`; absent: there are no such URIs. */
  @IsOptional()
  @IsString()
  mlflowUri?: string;

  @IsOptional()
  @IsString()
  mlflowUsername?: string;

  @IsOptional()
  @IsString()
  mlflowPassword?: string;

  @IsOptional()
  @IsString()
  mlflowToken?: string;

  /** An S3 server other than Amazon's; its buckets are addressed by path. */
  @IsOptional()
  @IsString()
  s3Endpoint?: string;

  /** With neither endpoint, region nor access key there is no S3. */
  @IsOptional()
  @IsString()
  s3Region?: string;

  /** Absent: what the AWS SDK finds on this machine, such as the role of the instance. */
  @IsOptional()
  @IsString()
  s3AccessKeyId?: string;

  @IsOptional()
  @IsString()
  s3SecretAccessKey?: string;

  @IsOptional()
  @IsString()
  s3SessionToken?: string;

  /** Milliseconds that all files of one package may take; 4 GiB at 2.3 MB/s. */
  @IsInt()
  @Min(1000)
  @Max(24 * 3_600_000)
  importMs = 30 * 60_000;

  /** In each stretch of so many milliseconds a file must get on, */
  @IsInt()
  @Min(50)
  stallMs = 30_000;

  /** by so many bytes: less is a server that keeps us waiting on purpose, or as good as one. */
  @IsInt()
  @Min(1)
  stallBytes = 32 * 1024;

  /** Attempts in a row that bring nothing new before a file is given up. */
  @IsInt()
  @Min(1)
  @Max(20)
  attempts = 4;

  /** Milliseconds before the first new attempt; twice as many before each further one. */
  @IsInt()
  @Min(1)
  retryMs = 300;

  /** Packages that are fetched at once; each is one stream to the disk. */
  @IsInt()
  @Min(1)
  @Max(16)
  atOnce = 2;
}
