/** Hot path. See docs/paths/predict.md. */
import type { KeyTable, SecretEntry } from './key-snapshot';

/**
 * The key that a connection has proven last. Clients send the same one with each request, and two hashes are a good part of what
 * a request costs. It holds for that connection only, and only while the table holds the very entry that was proven: a key that
 * was rotated is proven anew, and whether it is revoked, expired or limited is asked each time.
 */
export class ConnectionProof {
  private credential = '';
  private prefix = '';
  private secret: SecretEntry | undefined = undefined;

  remember(credential: string, prefix: string, secret: SecretEntry): void {
    this.credential = credential;
    this.prefix = prefix;
    this.secret = secret;
  }

  /** The proven entry, if this is the text that proved it. */
  holds(credential: string, keys: KeyTable): SecretEntry | undefined {
    const { secret } = this;
    return secret !== undefined && credential === this.credential && keys.secret(this.prefix) === secret
      ? secret
      : undefined;
  }
}
