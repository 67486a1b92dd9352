import http from 'node:http';
import { HttpSurface } from '../../../../test/support/http-surface';

describe('a JSON body', () => {
  const surface = new HttpSurface();
  beforeAll(() => surface.start());
  afterAll(() => surface.stop());
  beforeEach(() => {
    surface.failure = undefined;
    surface.gate.limited = false;
    surface.captured.lines.length = 0;
    surface.events.length = 0;
  });

  describe('of a JSON body', () => {
    it('takes what is right', async () => {
      const { status, headers, body } = await surface.post(
        '/things',
        { name: 'a' },
        { 'Content-Type': 'application/json; charset=UTF-8' },
      );
      expect([status, body['name']]).toEqual([201, 'a']);
      expect(headers.get('location')).toBe('/things/a');
    });

    it.each([
      ['no JSON', '{"name":', {}, 400, 'malformed_json'],
      ['too deep', '['.repeat(9) + ']'.repeat(9), {}, 400, 'json_too_deep'],
      ['an array', '[]', {}, 400, 'invalid_parameter'],
      ['null', 'null', {}, 400, 'invalid_parameter'],
      ['an unknown field', '{"name":"a","nam":1}', {}, 400, 'unknown_field'],
      ['a missing field', '{}', {}, 400, 'invalid_parameter'],
      ['nothing at all', '', {}, 400, 'invalid_parameter'],
      ['another type', '{}', { 'Content-Type': 'text/plain' }, 415, 'unsupported_media_type'],
      ['another charset', '{}', { 'Content-Type': 'application/json; charset=latin1' }, 415, 'unsupported_media_type'],
      ['an encoding', '{}', { 'Content-Encoding': 'gzip' }, 415, 'unsupported_media_type'],
      ['too large', JSON.stringify({ name: 'x'.repeat(4000) }), {}, 413, 'body_too_large'],
    ])('refuses %s', async (_name, body, headers, status, code) => {
      expect(await surface.post('/things', body, headers)).toMatchObject({ status, body: { code } });
    });

    it('names the limit that was passed, whether or not the length was declared', async () => {
      const chunks = new ReadableStream({
        start(controller) {
          for (let n = 0; n < 10; n++) controller.enqueue(new TextEncoder().encode('x'.repeat(500)));
          controller.close();
        },
      });
      const init = {
        method: 'POST',
        headers: { 'X-API-Key': 'good', 'Content-Type': 'application/json' },
        body: chunks,
        duplex: 'half',
      };
      const answer = await fetch(`${surface.url}/things`, init as RequestInit);
      expect(answer.status).toBe(413);
      expect(((await answer.json()) as { detail: string }).detail).toContain('2048');
    });

    it('gives up on one that does not come, with 408', async () => {
      const request = http.request(`${surface.url}/things`, {
        method: 'POST',
        headers: { 'X-API-Key': 'good', 'Content-Type': 'application/json', 'Content-Length': '100' },
      });
      request.write('{"name"');
      request.on('error', () => undefined);
      const status = await new Promise((resolve) =>
        request.once('response', (response) => resolve(response.statusCode)),
      );
      request.destroy();
      expect(status).toBe(408);
    });

    it('reads none of a caller without a key', async () => {
      expect(
        (
          await surface.call('POST', '/things', {
            key: null,
            headers: { 'Content-Type': 'application/json' },
            body: '{"name":',
          })
        ).status,
      ).toBe(401);
    });
  });
});
