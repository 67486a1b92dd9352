import { securityHeaders } from './security-headers';

describe('the security headers', () => {
  it('let an API answer load and frame nothing, and nobody store it', () => {
    expect(securityHeaders('api', false)).toMatchObject({
      'Content-Security-Policy': "default-src 'none';frame-ancestors 'none'",
      'X-Content-Type-Options': 'nosniff',
      'Referrer-Policy': 'no-referrer',
      'Cache-Control': 'no-store',
    });
  });

  it.each(['api', 'page', 'redoc'] as const)('never allow scripts within a page (%s)', (kind) => {
    const policy = securityHeaders(kind, false)['Content-Security-Policy'] ?? '';
    expect(/script-src ([^;]*)/.exec(policy)?.[1] ?? "'none'").not.toContain('unsafe');
    expect(policy).not.toContain('https:');
  });

  it('relax the policy for workers on the ReDoc page only', () => {
    expect(securityHeaders('redoc', false)['Content-Security-Policy']).toContain('worker-src');
    expect(securityHeaders('page', false)['Content-Security-Policy']).not.toContain('worker-src');
  });

  it('pin browsers to TLS only where the operator says that there is TLS', () => {
    expect(securityHeaders('api', false)).not.toHaveProperty('Strict-Transport-Security');
    expect(securityHeaders('api', true)['Strict-Transport-Security']).toMatch(/^max-age=\d+/);
  });
});
