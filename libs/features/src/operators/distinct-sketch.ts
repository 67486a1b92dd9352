/** Up to here values are counted one by one. */
export const EXACT_DISTINCT = 4096;

const INDEX_BITS = 12;
const REGISTERS = 1 << INDEX_BITS;
/** Of 53 bits of hash the upper ones choose the register and the lower ones give the rank. */
const RANK_BITS = 53 - INDEX_BITS;
const RANK_RANGE = 2 ** RANK_BITS;
const WORD = 0x1_0000_0000;
/** No hash: the hash 0 counts as 1. */
const EMPTY = 0;
const NO_SLOTS = new Float64Array(0);

/**
 * How many different values there were, of their hashes of 53 bits: exact up to `EXACT_DISTINCT` (two values with one hash among
 * so many: once in 10^9), a HyperLogLog of 4096 registers from there on, whose standard error is 1.04 / sqrt(4096) = 1.6 %. Merging
 * loses nothing: sketches of parts come to what a sketch of the whole comes to.
 */
export class DistinctSketch {
  private readonly hashes = new HashTable();
  private registers: Uint8Array | undefined;
  private spare: Uint8Array | undefined;

  add(hash: number): void {
    if (this.registers !== undefined) return keepRank(this.registers, hash);
    this.hashes.add(hash);
    if (this.hashes.size > EXACT_DISTINCT) keepRanks(this.estimate(), this.hashes);
  }

  merge(other: DistinctSketch): void {
    if (other.registers === undefined) {
      for (const hash of other.hashes.slots) if (hash !== EMPTY) this.add(hash);
      return;
    }
    const registers = this.estimate();
    keepRanks(registers, this.hashes);
    for (let index = 0; index < REGISTERS; index++) {
      const rank = other.registers[index] ?? 0;
      if (rank > (registers[index] ?? 0)) registers[index] = rank;
    }
  }

  clear(): void {
    this.hashes.clear();
    this.spare = this.registers ?? this.spare;
    this.registers = undefined;
  }

  get count(): number {
    return this.registers === undefined ? this.hashes.size : Math.round(estimateOf(this.registers));
  }

  get bytes(): number {
    return 240 + this.hashes.slots.byteLength + (this.registers?.length ?? 0);
  }

  /** From here on an estimate. */
  private estimate(): Uint8Array {
    this.registers ??= this.spare?.fill(0) ?? new Uint8Array(REGISTERS);
    return this.registers;
  }
}

/** Hashes, each once, in an open table at most half full: a set of boxed numbers takes ten times as long and thrice the room. */
class HashTable {
  size = 0;
  slots = NO_SLOTS;

  add(hash: number): void {
    if (2 * this.size >= this.slots.length) this.grow();
    if (place(this.slots, hash === EMPTY ? 1 : hash)) this.size++;
  }

  clear(): void {
    this.size = 0;
    this.slots = NO_SLOTS;
  }

  private grow(): void {
    const wider = new Float64Array(Math.max(16, 2 * this.slots.length));
    for (const hash of this.slots) if (hash !== EMPTY) place(wider, hash);
    this.slots = wider;
  }
}

/** Whether the hash was not there. Starts at its lowest bits, of which there are as many as the table has places. */
function place(slots: Float64Array, hash: number): boolean {
  const mask = slots.length - 1;
  for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
    const there = slots[slot];
    if (there === hash) return false;
    if (there === EMPTY) {
      slots[slot] = hash;
      return true;
    }
  }
}

function keepRanks(registers: Uint8Array, hashes: HashTable): void {
  for (const hash of hashes.slots) if (hash !== EMPTY) keepRank(registers, hash);
  hashes.clear();
}

function keepRank(registers: Uint8Array, hash: number): void {
  const index = Math.floor(hash / RANK_RANGE);
  const rest = hash - index * RANK_RANGE;
  const high = Math.floor(rest / WORD);
  const zeros = high > 0 ? Math.clz32(high) - (64 - RANK_BITS) : RANK_BITS - 32 + Math.clz32(rest);
  if (zeros + 1 > (registers[index] ?? 0)) registers[index] = zeros + 1;
}

/** Ertl's estimator (2017, algorithm 6): without bias from none to all, so that no tables of corrections are needed. */
function estimateOf(registers: Uint8Array): number {
  const counts = new Uint32Array(RANK_BITS + 2);
  for (const rank of registers) counts[rank] = (counts[rank] ?? 0) + 1;
  let sum = REGISTERS * upperTail(1 - (counts[RANK_BITS + 1] ?? 0) / REGISTERS);
  for (let rank = RANK_BITS; rank >= 1; rank--) sum = 0.5 * (sum + (counts[rank] ?? 0));
  sum += REGISTERS * lowerTail((counts[0] ?? 0) / REGISTERS);
  return (REGISTERS * REGISTERS) / (2 * Math.LN2 * sum);
}

/** Ertl's sigma: x + sum of x^(2^k) 2^(k - 1). */
function lowerTail(share: number): number {
  if (share === 1) return Number.POSITIVE_INFINITY;
  let power = share;
  let weight = 1;
  let sum = share;
  for (let before = Number.NaN; sum !== before; weight *= 2) {
    before = sum;
    power *= power;
    sum += power * weight;
  }
  return sum;
}

/** Ertl's tau: (1 - x - sum of (1 - x^(2^-k))^2 2^-k) / 3. */
function upperTail(share: number): number {
  if (share === 0 || share === 1) return 0;
  let root = share;
  let weight = 1;
  let sum = 1 - share;
  for (let before = Number.NaN; sum !== before;) {
    before = sum;
    root = Math.sqrt(root);
    weight *= 0.5;
    sum -= (1 - root) ** 2 * weight;
  }
  return sum / 3;
}
