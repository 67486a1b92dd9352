import { Inject, Injectable, type ExecutionContext } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import {
  getOptionsToken,
  getStorageToken,
  ThrottlerGuard,
  type ThrottlerModuleOptions,
  type ThrottlerRequest,
  type ThrottlerStorage,
} from '@nestjs/throttler';
import { Gate } from '@sibyl/auth';
import type { Response } from 'express';
import { limitHeaders } from './limit-headers';
import type { ApiRequest } from './request-context';

/**
 * The throttler's guard with our own decision in it: a limit belongs to a key and not to a route, and is the same one
 * that the hot handler draws from.
 */
@Injectable()
export class ThrottleGuard extends ThrottlerGuard {
  constructor(
    @Inject(getOptionsToken()) options: ThrottlerModuleOptions,
    @Inject(getStorageToken()) storage: ThrottlerStorage,
    reflector: Reflector,
    private readonly gate: Gate,
  ) {
    super(options, storage, reflector);
  }

  // Gateways and gRPC pass the gate on their own; the throttler's guard would break their answers.
  protected override async shouldSkip(execution: ExecutionContext): Promise<boolean> {
    return Promise.resolve(execution.getType() !== 'http');
  }

  protected override async handleRequest({ context }: ThrottlerRequest): Promise<boolean> {
    const http = context.switchToHttp();
    const { context: request } = http.getRequest<ApiRequest>();
    if (request.isPublic || request.principal === undefined) return Promise.resolve(true);
    request.limitState = this.gate.admit(request.principal);
    if (request.limitState !== undefined) http.getResponse<Response>().set(limitHeaders(request.limitState));
    return Promise.resolve(true);
  }
}
