/** Longer words are not compared, nor more known ones: callers choose the words, and each comparison costs the product of two lengths. */
const WORD_MAX = 64;
const KNOWN_MAX = 512;

/** As many candidates as an error carries: of the nearest, its reader may know but a few. */
export const NEAR_MODELS = 32;

/** Up to `most` of the known words that are near `word` (Levenshtein distance up to a third of its length, at least 2). */
export function nearestWords(word: string, known: Iterable<string>, most = 1): string[] {
  if (word.length > WORD_MAX) return [];
  const limit = Math.max(2, Math.floor(word.length / 3));
  const near: { readonly word: string; readonly distance: number }[] = [];
  let compared = 0;
  for (const candidate of known) {
    if (++compared > KNOWN_MAX) break;
    if (Math.abs(candidate.length - word.length) > limit) continue;
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase());
    if (distance <= limit) near.push({ word: candidate, distance });
  }
  near.sort((a, b) => a.distance - b.distance || (a.word < b.word ? -1 : 1));
  return near.slice(0, most).map((entry) => entry.word);
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = (row[j - 1] ?? 0) + (a.charCodeAt(i - 1) === b.charCodeAt(j - 1) ? 0 : 1);
      next[j] = Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, substitution);
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
