/** Hot path. See docs/paths/predict.md. */
import type { FeatureQuery } from '@sibyl/prediction';
import { PlainScanner } from '@sibyl/protocol';
import { isTimestamp, queryOf, TEXT_MAX } from './predict-envelope';

/** A predict request whose features or inputs are still bytes: where the scanner stands. */
export interface PlainEnvelope {
  /** Undefined where there are none: all of them are the feature service's. */
  readonly scanner: PlainScanner | undefined;
  readonly withInputs: boolean;
  readonly query: FeatureQuery;
  readonly model: string | undefined;
  readonly version: string | undefined;
}

export interface PlainLimits {
  /** Tensors may come in place of features. */
  readonly inputs: boolean;
  /** How deep objects and arrays may be nested. */
  readonly depth: number;
}

const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const COMMA = 0x2c;
const NAMES = ['features', 'inputs', 'model', 'model_version', 'symbol', 'entity', 'timestamp'] as const;
const BYTES = NAMES.map((name) => Buffer.from(name));
const INPUTS = 1;
/** Members before it are objects. */
const NESTED = 2;

/** One for all requests: each is read to its end before the next. */
const scanner = new PlainScanner();

/**
 * Reads the members of a request for one row from its bytes: what `JSON.parse` and `readEnvelope` would find, in a fraction of
 * their time. Undefined for whatever is not plain (escapes, other members, one that comes twice) and for every fault.
 */
export function readPlainEnvelope(bytes: Uint8Array, allowed: PlainLimits): PlainEnvelope | undefined {
  scanner.open(bytes);
  const members = new Members(allowed);
  if (!scanner.pass(OPEN_BRACE)) return undefined;
  for (let count = 0; !scanner.pass(CLOSE_BRACE); count++) {
    if ((count > 0 && !scanner.pass(COMMA)) || !members.read(memberAt())) return undefined;
  }
  return scanner.peek() === -1 ? members.envelope() : undefined;
}

/** Lets go of the body that was read last. */
export function forgetPlain(): void {
  scanner.open(NOTHING);
}

const NOTHING = new Uint8Array(0);

/** Passes the name of a member that requests have; answers which, or -1. */
function memberAt(): number {
  for (let i = 0; i < BYTES.length; i++) if (scanner.passName(BYTES[i] as Uint8Array)) return i;
  return -1;
}

/** What was found so far. */
class Members {
  private readonly texts: (string | undefined)[] = Array<undefined>(NAMES.length).fill(undefined);
  private nested = -1;
  private nestedAt = -1;

  /** Reads the value of a member; false where it cannot be. */
  read(member: number): boolean {
    if (member < 0) return false;
    return member < NESTED ? this.pass(member) : this.readText(member);
  }

  constructor(private readonly allowed: PlainLimits) {}

  envelope(): PlainEnvelope | undefined {
    const withInputs = this.nested === INPUTS;
    if (withInputs && !this.allowed.inputs) return undefined;
    const [, , model, version, symbol, entity, timestamp] = this.texts;
    if (timestamp !== undefined && !isTimestamp(timestamp)) return undefined;
    const query = queryOf(symbol, entity, timestamp);
    if (this.nestedAt < 0) return { scanner: undefined, withInputs, query, model, version };
    scanner.at = this.nestedAt;
    return { scanner, withInputs, query, model, version };
  }

  /** Features or inputs are read when their version is known. Both at once, and either twice, are for the reader that says so. */
  private pass(member: number): boolean {
    if (this.nestedAt >= 0) return false;
    scanner.peek();
    this.nested = member;
    this.nestedAt = scanner.at;
    return scanner.skipNested(this.allowed.depth - 1);
  }

  private readText(member: number): boolean {
    const text = scanner.text();
    if (text === undefined || text === '' || text.length > TEXT_MAX || this.texts[member] !== undefined) return false;
    this.texts[member] = text;
    return true;
  }
}
