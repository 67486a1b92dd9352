import { IsOptional, IsString, IsUrl, MaxLength } from 'class-validator';

/** Where what is published is told to, in the terms of OpenLineage; the names are those of its own clients. */
export class LineageOptions {
  /** Of the server; unset: nobody is told. */
  @IsOptional()
  @IsUrl({ require_tld: false, require_protocol: true, protocols: ['http', 'https'] })
  url?: string;

  @IsOptional()
  @IsString()
  apiKey?: string;

  /** Of jobs and datasets: two installations that tell one server differ by it. */
  @IsString()
  @MaxLength(256)
  namespace = 'sibyl';
}
