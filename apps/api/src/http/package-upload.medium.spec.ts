import http from 'node:http';
import { HttpSurface } from '../../../../test/support/http-surface';

describe('an upload', () => {
  const surface = new HttpSurface();
  beforeAll(() => surface.start());
  afterAll(() => surface.stop());
  beforeEach(() => {
    surface.failure = undefined;
    surface.gate.limited = false;
    surface.captured.lines.length = 0;
    surface.events.length = 0;
  });

  describe('of a package', () => {
    const form = (...files: [name: string, text: string][]): FormData => {
      const data = new FormData();
      for (const [name, text] of files) data.append('file', new Blob([text]), name);
      return data;
    };
    it('stores the files under their names, and removes what nobody claims', async () => {
      const data = form(['model.onnx', 'bytes'], ['data/weights.bin', 'more']);
      data.append('version', '1.0.0');
      const { status, body } = await surface.call('POST', '/packages', { body: data });
      expect(status).toBe(201);
      expect((body['files'] as [string, string][]).map(([name]) => name)).toEqual(['model.onnx', 'data/weights.bin']);
      expect(body['fields']).toEqual([['version', '1.0.0']]);
      expect(await surface.leftovers(0)).toBe(0);
    });

    it.each([
      ['no files', form(), 400],
      ['a path upwards', form(['../model.onnx', 'x']), 400],
      ['a path from the root', form(['/etc/passwd', 'x']), 400],
      ['one name twice', form(['a', 'x'], ['a', 'y']), 400],
      ['too many files', form(['a', 'x'], ['b', 'x'], ['c', 'x'], ['d', 'x']), 400],
      ['too many bytes', form(['a', 'x'.repeat(3000)], ['b', 'x'.repeat(3000)]), 413],
    ])('refuses %s and leaves nothing behind', async (_name, body, status) => {
      expect((await surface.call('POST', '/packages', { body })).status).toBe(status);
      expect(await surface.leftovers(0)).toBe(0);
    });

    it.each([
      ['without a boundary', 'multipart/form-data', 'x', 415],
      [
        'that ends early',
        'multipart/form-data; boundary=b',
        '--b\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\nxx',
        400,
      ],
      ['that is none', 'multipart/form-data; boundary=b', 'nothing of the kind', 400],
    ])('refuses a body %s', async (_name, type, body, status) => {
      expect((await surface.call('POST', '/packages', { headers: { 'Content-Type': type }, body })).status).toBe(
        status,
      );
      expect(await surface.leftovers(0)).toBe(0);
    });

    it.each(['\u0001', '\u0000', '\n', '\u007f'])(
      'says that %j has no place in the name of a file',
      async (character) => {
        const body = `--b\r\nContent-Disposition: form-data; name="f"; filename="a${character}b"\r\n\r\nx\r\n--b--\r\n`;
        const headers = { 'Content-Type': 'multipart/form-data; boundary=b' };
        const reply = await surface.call('POST', '/packages', { headers, body });
        expect(reply.status).toBe(400);
        const fault = expect.objectContaining({ expected: expect.stringMatching(/control character|letters, digits/) });
        expect(reply.body).toMatchObject({ code: 'invalid_parameter', errors: [fault] });
        expect(await surface.leftovers(0)).toBe(0);
      },
    );

    it('leaves nothing behind of one whose sender hangs up', async () => {
      const request = http.request(`${surface.url}/packages`, {
        method: 'POST',
        headers: { 'X-API-Key': 'good', 'Content-Type': 'multipart/form-data; boundary=b', 'Content-Length': '4000' },
      });
      request.on('error', () => undefined);
      request.write('--b\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\nsome bytes');
      expect(await surface.leftovers(1)).toBe(1);
      request.destroy();
      expect(await surface.leftovers(0)).toBe(0);
    });
  });
});
