import { DomainError } from './domain-error';

describe('DomainError', () => {
  it('of a refusal has no stack, one of ours has its own, and other errors keep theirs', () => {
    const before = Error.stackTraceLimit;
    expect(new DomainError('queue_full', 'Too many wait.').stack).toBe('DomainError: Too many wait.');
    expect(new DomainError('internal_error', 'Broken.').stack).toMatch(/\n\s+at .*domain-error\.spec/);
    expect(Error.stackTraceLimit).toBe(before);
    expect(new Error('another').stack).toMatch(/\n\s+at /);
  });

  it('of what may be tried again says when', () => {
    expect(new DomainError('queue_full', 'Too many wait.').retryAfterSeconds).toBe(1);
    expect(new DomainError('queue_full', 'Too many wait.', { retryAfterSeconds: 7 }).retryAfterSeconds).toBe(7);
    expect(new DomainError('input_missing', 'Nothing.').retryAfterSeconds).toBeUndefined();
  });
});
