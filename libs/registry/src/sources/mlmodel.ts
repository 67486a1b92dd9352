import { parse as parseYaml } from 'yaml';
import { isPackagePath } from '../package-path';

/** Bytes of a path in YAML's spelling. */
const SCALAR_BYTES = 2048;

/**
 * Which file MLflow's own description of a model calls the ONNX model: `flavors.onnx.data`; undefined where that says nothing of one.
 * Read by its lines, as MLflow writes it: a whole YAML document of a megabyte can hold a process up for half a minute.
 */
export function onnxFileOf(document: string): string | undefined {
  const flavors = membersOf(document.split(/\r?\n/), 'flavors');
  const onnx = flavors && membersOf(flavors, 'onnx');
  const data = onnx && membersAt(onnx).find((line) => line.startsWith('data:'));
  const name = data === undefined || data.length > SCALAR_BYTES ? undefined : scalarOf(data);
  return name !== undefined && isPackagePath(name) ? name : undefined;
}

/** The lines below a key among the outermost of `lines`. */
function membersOf(lines: readonly string[], key: string): readonly string[] | undefined {
  const indent = ' '.repeat(indentOf(lines));
  const at = lines.findIndex((line) => line.startsWith(`${indent}${key}:`) && line.trim() === `${key}:`);
  if (at === -1) return undefined;
  const rest = lines.slice(at + 1);
  const end = rest.findIndex((line) => !line.startsWith(`${indent} `) && line.trim() !== '');
  return end === -1 ? rest : rest.slice(0, end);
}

/** The outermost of `lines`, without their indent. */
function membersAt(lines: readonly string[]): readonly string[] {
  const indent = indentOf(lines);
  return lines.filter((line) => /^ *\S/.exec(line)?.[0].length === indent + 1).map((line) => line.trim());
}

function indentOf(lines: readonly string[]): number {
  const first = lines.find((line) => /^ *[^\s#]/.test(line)) ?? '';
  return first.length - first.trimStart().length;
}

function scalarOf(member: string): string | undefined {
  try {
    const { data } = parseYaml(member) as { readonly data: unknown };
    return typeof data === 'string' ? data : undefined;
  } catch {
    return undefined;
  }
}
