const FIRST_BYTES = 1024 * 1024;

/**
 * The pieces of one body, put together as they come: joining many of them at its end would take long, and memory for all of a body
 * that is only announced could be asked for by anybody.
 */
export class BodyRoom {
  private room: Buffer | undefined;
  /** A body in one piece, as most are, is not copied. */
  private only: Buffer | undefined;
  private used = 0;

  /** `most` bytes will come at most. */
  constructor(private readonly most: number) {}

  get length(): number {
    return this.used;
  }

  add(piece: Buffer): void {
    const end = this.used + piece.length;
    if (this.used === 0) {
      this.only = piece;
      this.used = end;
      return;
    }
    if (this.room === undefined || end > this.room.length) this.grow(end);
    this.room?.set(piece, this.used);
    this.used = end;
  }

  /** The body. */
  take(): Buffer {
    return this.only ?? this.room?.subarray(0, this.used) ?? Buffer.alloc(0);
  }

  private grow(needed: number): void {
    // All of it as soon as more than a little has come: larger copies would take long, and memory that is not written to, since it
    // is not filled with zeros, is not taken from the system.
    const size = needed > FIRST_BYTES ? this.most : Math.min(this.most, FIRST_BYTES);
    const larger = Buffer.allocUnsafeSlow(size);
    (this.only ?? this.room)?.copy(larger, 0, 0, this.used);
    this.room = larger;
    this.only = undefined;
  }
}
