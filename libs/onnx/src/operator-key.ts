/** How calls find their function; lengths keep apart what only looks alike. */
export function operatorKey(domain: string, type: string, overload: string): string {
  return `${domain.length}:${domain}${type.length}:${type}${overload}`;
}

/** The keys of operators as they come; those of the default domain, which most nodes are of, are put together once each. */
export class OperatorKeys {
  private readonly known = new Map<string, string>();

  of(domain: string, type: string, overload: string): string {
    if (domain !== '' || overload !== '') return operatorKey(domain, type, overload);
    const known = this.known.get(type);
    if (known !== undefined) return known;
    const key = operatorKey(domain, type, overload);
    this.known.set(type, key);
    return key;
  }
}
