import { quote } from './fault-list';
import type { Inspection } from './inspection';

/** `ai.onnx` is another name of the default domain. */
const DEFAULT_DOMAIN = 'ai.onnx';

/** Domains whose operators are part of ONNX Runtime. All others would need a native library, which Sibyl never loads. */
const KNOWN_DOMAINS = new Set(['', 'ai.onnx.ml', 'com.microsoft']);

/** Operators of the runtime that load code or compiled engines named or carried by the model. */
const DANGEROUS_OPERATORS = new Set([
  'com.microsoft:EPContext',
  'com.microsoft:PythonOp',
  'com.microsoft:PythonOpGrad',
  'com.microsoft:TritonOp',
]);

export function plainDomain(domain: string): string {
  return domain === DEFAULT_DOMAIN ? '' : domain;
}

export function isKnownDomain(domain: string): boolean {
  return KNOWN_DOMAINS.has(domain);
}

/** How people see an operator. */
export function operatorLabel(domain: string, type: string): string {
  return domain === '' ? type : `${domain}:${type}`;
}

export function checkOperator(label: string, inspection: Inspection, at: { readonly pointer: string }): void {
  if (!DANGEROUS_OPERATORS.has(label)) return;
  inspection.faults.add({
    pointer: at.pointer,
    expected: 'operators that run no code but the runtime’s own',
    received: label,
    hint: 'Export the model itself, not what an execution provider compiled from it.',
  });
}

/** Operators of other domains are allowed only where the file defines them as functions. */
export function checkDomains(inspection: Inspection): void {
  const { foreign, functions } = inspection.facts;
  for (const [key, { pointer, label }] of foreign) {
    if (functions.has(key)) continue;
    inspection.faults.add({
      pointer,
      expected: 'operators of the domains ai.onnx, ai.onnx.ml and com.microsoft, or functions of the file',
      received: quote(label),
      hint: 'Custom operators need a native library, which is never loaded. Export with standard operators.',
    });
  }
}
