import { Injectable } from '@nestjs/common';
import type { RecordChange } from '@sibyl/audit';
import { DomainError, type Actor } from '@sibyl/kernel';
import { ModelRegistry, VERSION_FILE_TYPE } from '@sibyl/registry';
import type { Logger } from '@sibyl/telemetry';
import type { Response } from 'express';
import { InjectLog } from '../http/log';
import { streamFile } from '../http/stream-file';

/** Exports of this process at once: each reads the disk as fast as its caller takes it. */
const AT_ONCE = 4;

/** Sends versions out, a few at a time. */
@Injectable()
export class VersionExports {
  private running = 0;

  constructor(
    private readonly registry: ModelRegistry,
    @InjectLog() private readonly log: Logger,
  ) {}

  async send(
    actor: Actor,
    named: { readonly model: string; readonly version: string },
    record: RecordChange,
    response: Response,
  ): Promise<void> {
    if (this.running >= AT_ONCE)
      throw new DomainError('queue_full', 'Too many versions are being exported at once.', { retryAfterSeconds: 10 });
    this.running++;
    try {
      const leaving = await this.registry.export(actor, named, record);
      const headers = { 'X-Record-Sha256': leaving.recordSha256 };
      const { name, bytes } = leaving;
      await streamFile({ name, bytes, type: VERSION_FILE_TYPE, headers, chunks: () => leaving.chunks() }, response);
    } catch (error) {
      if (!response.headersSent) throw error;
      // The answer is cut off, which is all that its caller can be told.
      response.destroy();
      this.log.warn({ ...named, err: error }, 'an export ended before it was complete');
    } finally {
      this.running--;
    }
  }
}
