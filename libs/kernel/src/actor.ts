/** Who does something, as the audit log names them. Every method that changes something takes it first. */
export interface Actor {
  readonly type: 'key' | 'system' | 'anonymous';
  /** Id of the key, the name of the system part, or the address of an anonymous caller. */
  readonly id: string;
  readonly keyId?: string;
  readonly name: string;
  /** Who answers for the key, as its issuer wrote it: one person may have several keys. */
  readonly owner?: string;
  /** The bundle of scopes that the key was issued with. */
  readonly role?: string;
  /**
   * Who is behind it, as far as nobody chooses that: `OPERATOR`, or the id of the key of the operator's making that it stems from,
   * itself or by a chain of keys that issued each other. Absent in what was written down before this was known.
   */
  readonly person?: string;
}

/** The person behind what the operator sets up: the server itself, and the admin key that it was started with. */
export const OPERATOR = 'operator';

/** The server itself: what it does at start, on a timer or by configuration. */
export function systemActor(part: string): Actor {
  return { type: 'system', id: part, name: part };
}
