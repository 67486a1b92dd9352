import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { BodyRequest } from './body.interceptor';
import type { PackageUpload } from './package-upload';

/** The files of a multipart body; undefined where the body was JSON. */
export const Uploaded = createParamDecorator((_: unknown, execution: ExecutionContext): PackageUpload | undefined => {
  return execution.switchToHttp().getRequest<BodyRequest>().upload;
});
