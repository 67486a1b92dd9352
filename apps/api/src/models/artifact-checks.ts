import { Injectable } from '@nestjs/common';
import { ArtifactScrubber } from '@sibyl/registry';
import { LongWork, type LongCall } from '../operations/long-work';
import type { Reply } from '../operations/reply';

/** Reads stored bytes again because somebody asks. */
@Injectable()
export class ArtifactChecks {
  constructor(
    private readonly scrubber: ArtifactScrubber,
    private readonly work: LongWork,
  ) {}

  run(call: LongCall, model: string | undefined): Promise<Reply> {
    return this.work.run(call, 'model.check', async (signal) => {
      const findings = await this.scrubber.checkNow(model, signal);
      const damaged = findings
        .filter(({ intact }) => !intact)
        .map(({ model: name, version, digest, damaged: files }) => ({ model: name, version, digest, files }));
      return { status: 200, headers: {}, body: { checked: findings.length, damaged } };
    });
  }
}
