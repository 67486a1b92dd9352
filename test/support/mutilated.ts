/** A small generator of numbers in [0, 1) that starts where the seed says, so that a failure can be repeated. */
export function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1664525 + 1013904223) % 2 ** 32;
    return state / 2 ** 32;
  };
}

const SCRAPS = [
  'null',
  '-1',
  '1e999',
  '""',
  '[]',
  '{}',
  '"\\u0000"',
  '"\\ud800"',
  'true',
  '0.1',
  '99999999999999999999',
  '"__proto__"',
  '[[[]]]',
  '-0',
  '1e-400',
];

/** The body with one or two values or characters replaced. */
export function mutilated(body: string, random: () => number): string {
  let text = body;
  for (let i = 0; i <= random() * 2; i++) {
    const values = [...text.matchAll(/"[^"]*"|-?[\d.]+(?:e\d+)?|\[|\{|\]|\}/g)];
    const at = values[Math.floor(random() * values.length)];
    const scrap = SCRAPS[Math.floor(random() * SCRAPS.length)] ?? '';
    if (at !== undefined) text = text.slice(0, at.index) + scrap + text.slice(at.index + at[0].length);
  }
  return text;
}
