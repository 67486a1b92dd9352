import { Injectable, type CallHandler, type ExecutionContext, type NestInterceptor } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { orStorageFull } from '@sibyl/kernel';
import { ModelRegistry, VERSION_FILE_TYPE } from '@sibyl/registry';
import type { Logger } from '@sibyl/telemetry';
import { createHash } from 'node:crypto';
import { finalize, type Observable } from 'rxjs';
import { checkJsonType, hasBody, readBody } from './body';
import { ENDPOINT, type EndpointFacts } from './endpoint.decorator';
import { HttpOptions } from './http-options';
import { InjectLog } from './log';
import { receiveBody } from './held-body';
import { parseJson } from './json-text';
import { PackageUpload, receivePackage } from './package-upload';
import type { ApiRequest } from './request-context';
import { receiveVersionFile } from './version-file-upload';

/** A request whose body has been read. */
export interface BodyRequest extends ApiRequest {
  upload?: PackageUpload;
  /** Tells whether two requests said the same, for Idempotency-Key. */
  bodyFingerprint?: string;
}

/** Reads the body of a route that takes one: after all guards, so that nobody unknown makes the server parse anything. */
@Injectable()
export class BodyInterceptor implements NestInterceptor {
  constructor(
    private readonly reflector: Reflector,
    private readonly options: HttpOptions,
    private readonly registry: ModelRegistry,
    @InjectLog() private readonly log: Logger,
  ) {}

  async intercept(execution: ExecutionContext, next: CallHandler): Promise<Observable<unknown>> {
    const request = execution.switchToHttp().getRequest<BodyRequest>();
    const { body, creates } = this.reflector.get<EndpointFacts>(ENDPOINT, execution.getHandler());
    if (body === 'package' && isMultipart(request)) return this.receive(request, next, receivePackage);
    if (body === 'package' && isVersionFile(request)) return this.receive(request, next, receiveVersionFile);
    const isOnce = creates === true && request.headers['idempotency-key'] !== undefined;
    if (body === 'stream' && isOnce) return this.receive(request, next, receiveBody);
    if (body === 'json' || body === 'package') await this.read(request);
    return next.handle();
  }

  private async read(request: BodyRequest): Promise<void> {
    request.body = {};
    if (!hasBody(request)) return;
    checkJsonType(request);
    const bytes = await readBody(request, { bytes: this.options.bodyBytes, timeoutMs: this.options.bodyTimeoutMs });
    request.bodyFingerprint = createHash('sha256').update(bytes).digest('hex');
    if (bytes.length > 0) request.body = parseJson(bytes, this.options.jsonDepth);
  }

  private async receive(
    request: BodyRequest,
    next: CallHandler,
    receive: typeof receivePackage,
  ): Promise<Observable<unknown>> {
    const { artifactBytes, bodyBytes, uploadParts: parts, uploadTimeoutMs: timeoutMs } = this.options;
    const bytes = isJson(request) ? bodyBytes : artifactBytes;
    const folder = await orStorageFull(() => this.registry.uploadFolder());
    const upload = new PackageUpload(folder, () => this.registry.discard(folder));
    try {
      await orStorageFull(() => receive(request, upload, { bytes, parts, timeoutMs }));
    } catch (error) {
      await upload.discard();
      throw error;
    }
    request.upload = upload;
    request.bodyFingerprint = upload.fingerprint();
    request.body = Object.fromEntries(upload.fields);
    return next.handle().pipe(finalize(() => void (upload.claimed || this.forget(upload))));
  }

  private forget(upload: PackageUpload): void {
    upload.discard().catch((error: unknown) => this.log.warn({ err: error }, 'an upload could not be removed'));
  }
}

function isJson(request: ApiRequest): boolean {
  return /^application\/json\s*(;|$)/i.test(request.headers['content-type'] ?? '');
}

function isVersionFile(request: ApiRequest): boolean {
  return (request.headers['content-type'] ?? '').toLowerCase() === VERSION_FILE_TYPE;
}

function isMultipart(request: ApiRequest): boolean {
  return /^multipart\/form-data\s*(;|$)/i.test(request.headers['content-type'] ?? '');
}
