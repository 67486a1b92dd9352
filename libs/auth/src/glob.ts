/** Hot path. See docs/paths/predict.md. */

const STAR = 0x2a;
const QUESTION_MARK = 0x3f;
const GLOB = /^[A-Za-z0-9._+*?-]{1,128}$/;

/** Whether `text` may stand as a model glob: the characters of model names, `*` for any run and `?` for any one. */
export function isGlob(text: string): boolean {
  return GLOB.test(text);
}

/** Whether the glob matches the whole name. No regular expression, so that no glob can make it slow. */
export function matchesGlob(glob: string, name: string): boolean {
  return covers(glob, name, false);
}

/**
 * Whether every name that `inner` matches is matched by `outer` too. It may say no where a cleverer proof would say
 * yes (`a?*` within `a*?`), never the other way round: it guards against handing on more than one has.
 */
export function globWithin(inner: string, outer: string): boolean {
  return covers(outer, inner, true);
}

/** Greedy match with one point of return: a later star makes earlier ones final, so the time is at most |glob| · |text|. */
function covers(glob: string, text: string, textIsGlob: boolean): boolean {
  let g = 0;
  let t = 0;
  let starAt = -1;
  let starText = 0;
  while (t < text.length) {
    const want = glob.charCodeAt(g);
    const have = text.charCodeAt(t);
    if (want === STAR) {
      starAt = g++;
      starText = t;
    } else if (covered(want, have, textIsGlob)) {
      g++;
      t++;
    } else if (starAt >= 0) {
      g = starAt + 1;
      t = ++starText;
    } else {
      return false;
    }
  }
  while (glob.charCodeAt(g) === STAR) g++;
  return g === glob.length;
}

function covered(want: number, have: number, textIsGlob: boolean): boolean {
  // A star of the text stands for many characters; only a star of the glob covers those.
  if (textIsGlob && have === STAR) return false;
  return want === have || want === QUESTION_MARK;
}
