import type { Inspection } from '../inspection';
import type { Body } from '../model-facts';

/** What a body comes to once every function it calls is copied into it. */
interface Expansion {
  readonly nodes: number;
  readonly depth: number;
}

/**
 * The runtime copies functions into their callers, so thirty functions that call each other twice become 2^30 nodes.
 * Counts without copying, callees first.
 */
export function checkFunctions(inspection: Inspection): void {
  const { functions, main } = inspection.facts;
  const expansions = new Map<string, Expansion>();
  const { waiting, callers } = callGraph(functions);
  const ready = [...waiting].filter(([, count]) => count === 0).map(([key]) => key);
  for (let key = ready.pop(); key !== undefined; key = ready.pop()) {
    const body = functions.get(key);
    if (body !== undefined) expansions.set(key, expand(body, expansions));
    for (const caller of callers.get(key) ?? []) {
      const left = (waiting.get(caller) ?? 0) - 1;
      waiting.set(caller, left);
      if (left === 0) ready.push(caller);
    }
  }
  for (const [key, body] of functions) {
    if (expansions.has(key)) continue;
    const expected = 'functions that do not call themselves';
    inspection.faults.add({
      pointer: body.pointer,
      expected,
      received: 'a function that does, directly or through others',
    });
  }
  judge(expand(main, expansions), inspection);
  for (const body of [main, ...functions.values()]) checkCalls(body, inspection);
}

/** A call with more values than the function has parameters ends the whole process in ONNX Runtime 1.30. */
function checkCalls(body: Body, inspection: Inspection): void {
  const { functions } = inspection.facts;
  for (const [key, use] of body.operators) {
    const callee = functions.get(key);
    if (callee === undefined || (use.inputs <= callee.inputs && use.outputs <= callee.outputs)) continue;
    inspection.faults.add({
      pointer: callee.pointer,
      expected: 'calls with at most as many inputs and outputs as the function declares',
      received: `${use.inputs} inputs, ${use.outputs} outputs for ${callee.inputs} and ${callee.outputs}`,
    });
  }
}

/** How many functions each function waits for, and who waits for it. */
function callGraph(functions: ReadonlyMap<string, Body>): {
  waiting: Map<string, number>;
  callers: ReadonlyMap<string, readonly string[]>;
} {
  const waiting = new Map<string, number>();
  const callers = new Map<string, string[]>();
  for (const [caller, body] of functions) {
    const callees = [...body.operators.keys()].filter((key) => functions.has(key));
    waiting.set(caller, callees.length);
    for (const callee of callees) {
      const list = callers.get(callee);
      if (list === undefined) callers.set(callee, [caller]);
      else list.push(caller);
    }
  }
  return { waiting, callers };
}

function expand(body: Body, expansions: ReadonlyMap<string, Expansion>): Expansion {
  let { nodes, depth } = body;
  for (const [key, use] of body.operators) {
    const callee = expansions.get(key);
    if (callee === undefined) continue;
    nodes += use.count * callee.nodes;
    depth = Math.max(depth, use.depth + callee.depth);
  }
  return { nodes, depth };
}

function judge({ nodes, depth }: Expansion, inspection: Inspection): void {
  const { limits, faults } = inspection;
  if (nodes > limits.nodes) {
    const expected = `at most ${limits.nodes} nodes once functions are copied to where they are called`;
    faults.add({ pointer: '/functions', expected, received: `${nodes}` });
  }
  if (depth > limits.subgraphDepth) {
    const expected = `graphs within graphs at most ${limits.subgraphDepth} deep, through functions too`;
    faults.add({ pointer: '/functions', expected, received: `${depth}` });
  }
}
