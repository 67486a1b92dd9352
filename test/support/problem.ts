const INSIDE = /(\/[\w.-]+){2,}\.(js|ts|onnx)\b|node_modules|\bat \S+ \(|\bSELECT |onnxruntime_src|\bpg_|\/tmp\//;
const PROBLEM_MEMBERS = ['type', 'title', 'status', 'code', 'detail', 'instance', 'request_id'];

/** Throws where an error is not the problem document that every caller may rely on, or tells something of the inside. */
export function checkProblem(
  what: string,
  answer: { readonly status: number; readonly text: string; readonly contentType: string | null },
): void {
  const type = answer.contentType ?? '';
  const fail = (reason: string): never => {
    throw new Error(`${what} was answered ${answer.status}, ${reason}: ${answer.text.slice(0, 500)}`);
  };
  if (!type.startsWith('application/problem+json')) fail(`which is ${type} and not a problem document`);
  const problem = JSON.parse(answer.text) as Record<string, unknown>;
  const missing = PROBLEM_MEMBERS.filter((name) => typeof problem[name] !== (name === 'status' ? 'number' : 'string'));
  if (missing.length > 0) fail(`without ${missing.join(', ')}`);
  if (problem['status'] !== answer.status || problem['type'] !== `/docs/errors#${String(problem['code'])}`)
    fail('which contradicts itself');
  // Where the request went, where the error is explained and what it points at are paths by nature.
  const told = JSON.stringify({ ...problem, instance: '', type: '' }, (name, value: unknown) =>
    name === 'pointer' ? '' : value,
  );
  if (INSIDE.test(told)) fail('and it tells something of the inside');
  if (answer.status >= 500 && problem['code'] === 'internal_error') fail('a fault of the server');
}
