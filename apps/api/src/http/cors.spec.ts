import type { IncomingMessage, ServerResponse } from 'node:http';
import { corsMiddleware } from './cors';

function call(
  origins: string[],
  method: string,
  origin?: string,
): { headers: Record<string, string>; status: number | undefined; passed: boolean } {
  const headers: Record<string, string> = {};
  const answer = { headers, status: undefined as number | undefined, passed: false };
  const response = {
    setHeader: (name: string, value: string) => void (headers[name] = value),
    writeHead(status: number) {
      answer.status = status;
      return { end: () => undefined };
    },
  };
  const request = { method, headers: { origin } } as unknown as IncomingMessage;
  corsMiddleware(origins)(request, response as unknown as ServerResponse, () => (answer.passed = true));
  return answer;
}

describe('CORS', () => {
  it('is off by default: OPTIONS is answered, and no origin is allowed', () => {
    expect(call([], 'OPTIONS', 'https://a.example')).toEqual({ headers: {}, status: 204, passed: false });
    expect(call([], 'GET', 'https://a.example')).toEqual({ headers: {}, status: undefined, passed: true });
  });

  it('allows exactly the origins of the setting', () => {
    const allowed = call(['https://a.example'], 'OPTIONS', 'https://a.example');
    expect(allowed.status).toBe(204);
    expect(allowed.headers).toMatchObject({ 'Access-Control-Allow-Origin': 'https://a.example', Vary: 'Origin' });
    expect(allowed.headers['Access-Control-Allow-Headers']).toContain('X-API-Key');
    for (const origin of ['https://b.example', 'null', 'https://a.example.evil.example', undefined]) {
      expect(call(['https://a.example'], 'GET', origin).headers).toEqual({ Vary: 'Origin' });
    }
  });

  it('never allows credentials', () => {
    expect(call(['https://a.example'], 'OPTIONS', 'https://a.example').headers).not.toHaveProperty(
      'Access-Control-Allow-Credentials',
    );
  });
});
