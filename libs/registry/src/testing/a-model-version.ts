import { systemActor } from '@sibyl/kernel';
import { storedManifest } from '../manifest-reader';
import type { ModelVersion, ValidationReport } from '../model-version';

/** A report of a version that passed by its load alone. */
export function aReport(parts: Partial<ValidationReport> = {}): ValidationReport {
  return { passed: true, checkedAt: '2026-01-15T10:30:00.000Z', reasons: [], notes: [], ignoredFiles: [], ...parts };
}

/** A valid version: `document` is its manifest as sibyl.json would have it. */
export function aModelVersion(
  parts: Partial<ModelVersion> & { readonly document?: Record<string, unknown> } = {},
): ModelVersion {
  const { document = {}, ...given } = parts;
  const model = given.model ?? 'linear';
  const version = given.version ?? '1.0.0';
  const actor = systemActor('test');
  return {
    model,
    version,
    status: 'validated',
    digest: `sha256:${'0'.repeat(64)}`,
    manifest: storedManifest(document, { name: model, version }),
    signature: {
      inputs: [{ name: 'features', datatype: 'FP32', shape: [-1, 2] }],
      outputs: [{ name: 'variable', datatype: 'FP32', shape: [-1, 1] }],
    },
    onnx: {
      irVersion: 8,
      opsets: [{ domain: '', version: 17 }],
      inputs: [],
      outputs: [],
      nodeCount: 1,
      operators: { Gemm: 1 },
      externalFiles: [],
      initializerBytes: 12,
      metadata: {},
    },
    files: [{ path: 'model.onnx', sha256: '0'.repeat(64), bytes: 100 }],
    report: aReport({
      trial: { provider: 'cpu', loadMs: 1, memoryBytes: 1, observedOutputs: [], rowsIndependent: true },
    }),
    aliases: [],
    approvals: [],
    arrival: 1,
    registeredBy: actor,
    registeredAt: '2026-01-15T10:30:00.000Z',
    validatedAt: '2026-01-15T10:30:00.000Z',
    changedAt: '2026-01-15T10:30:00.000Z',
    changedBy: actor,
    revision: 2,
    ...given,
  };
}
