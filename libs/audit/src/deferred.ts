/** A promise and what settles it. One for all commits of a write: waiting costs no allocation for each. */
export class Deferred {
  readonly promise: Promise<void>;
  resolve: () => void;
  reject: (error: Error) => void;

  constructor() {
    this.promise = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    // A refusal that nobody waits for must not end the process.
    this.promise.catch(() => undefined);
  }
}
