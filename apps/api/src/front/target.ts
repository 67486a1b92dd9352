/** Hot path. See docs/paths/predict.md. */

/** The path of a request target, as Express reads it: proxies may send whole URLs (RFC 9112 §3.2.2). */
export function pathOf(target: string): string {
  const local = target.startsWith('/') ? target : target.replace(/^https?:\/\/[^/?#]*/i, '');
  const end = local.search(/[?#]/);
  return end < 0 ? local : local.slice(0, end);
}
