import { readLaneHead, type LaneHead } from './lane-head';

const MOST = 1_024;
const START = 'POST /predict HTTP/1.1\r\n';
const BODY = '{"a":1}';

/** Latin-1, so that a character is a byte. */
function read(text: string, mostBytes = MOST): LaneHead | undefined {
  return readLaneHead(Buffer.from(text, 'latin1'), mostBytes);
}

/** A request with these lines between those that every plain one has. */
function withLines(...lines: string[]): string {
  return `${START}Host: x\r\n${lines.map((line) => `${line}\r\n`).join('')}Content-Length: 7\r\n\r\n${BODY}`;
}

/** A request with these as its only header lines. */
function only(...lines: string[]): string {
  return `${START}${lines.map((line) => `${line}\r\n`).join('')}\r\n${BODY}`;
}

describe('readLaneHead', () => {
  describe('takes', () => {
    it('a plain request, and says where its body is', () => {
      const text = withLines('Content-Type: application/json');
      const head = read(text);
      expect(head).toMatchObject({
        target: '/predict',
        bodyBytes: 7,
        close: false,
        'content-type': 'application/json',
      });
      expect(text.slice(head?.bodyAt)).toBe(BODY);
    });

    it('the first request only, whatever follows', () => {
      const text = withLines();
      expect(read(`${text}${withLines('Transfer-Encoding: chunked')}`)).toEqual(read(text));
    });

    it('a request whose body is still to come, or is empty', () => {
      expect(read(`${START}Content-Length: 7\r\n\r\n`)?.bodyBytes).toBe(7);
      expect(read(`${START}Content-Length: 0\r\n\r\n`)?.bodyBytes).toBe(0);
    });

    it('every header that means something to a prediction, once', () => {
      const headers = {
        accept: 'application/json',
        authorization: 'Bearer k',
        'content-encoding': 'gzip',
        'content-type': 'text/plain',
        origin: 'https://a.example',
        traceparent: '00-a-b-01',
        'x-api-key': 'k',
        'x-request-id': 'r1',
        'x-request-timeout-ms': '50',
      };
      const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
      expect(read(withLines(...lines))).toMatchObject(headers);
    });

    it('no header under the name of something that is not a header', () => {
      const head = read(withLines('target: /other', 'close: true', 'bodyBytes: 1', 'bodyAt: 1', '__proto__: x'));
      expect(head).toMatchObject({ target: '/predict', close: false, bodyBytes: 7 });
      expect(Object.keys(head ?? {})).toEqual(Object.keys(read(withLines()) ?? {}));
    });

    it.each(['X-Api-Key', 'x-api-key', 'X-API-KEY'])('%s in any case', (name) =>
      expect(read(withLines(`${name}: k`))?.['x-api-key']).toBe('k'),
    );

    it.each([
      ['one space', ' k'],
      ['no space', 'k'],
      ['blanks on both sides', ' \t  k \t'],
      ['a blank within', ' k l ', 'k l'],
      ['nothing', '', ''],
      ['blanks alone', ' \t ', ''],
      ['a colon within', ' a:b', 'a:b'],
      ['Latin-1', ' k\xe9\xff', 'k\xe9\xff'],
    ])('a value with %s', (_name, text, value = 'k') =>
      expect(read(withLines(`X-Api-Key:${text}`))?.['x-api-key']).toBe(value),
    );

    it.each(['/', '/predict?a=1&b=%20', '/v1/models/a!$;@~{}|/predict#x'])('the target %s as it came', (target) =>
      expect(read(withLines().replace('/predict', () => target))?.target).toBe(target),
    );

    it.each([
      ['Connection: close', true],
      ['connection:CLOSE ', true],
      ['Connection: keep-alive', false],
      ['Connection: Keep-Alive', false],
    ])('%s', (line, close) => expect(read(withLines(line))?.close).toBe(close));

    it('the wish to close when the connection is named twice, in either order', () => {
      expect(read(withLines('Connection: close', 'Connection: keep-alive'))?.close).toBe(true);
      expect(read(withLines('Connection: keep-alive', 'Connection: close'))?.close).toBe(true);
    });

    it('repeated headers that mean nothing to a prediction', () =>
      expect(read(withLines('X-Other: 1', 'X-Other: 2', 'Cookie: a', 'Cookie: b'))).toBeDefined());

    it.each([
      ['0', 0],
      ['007', 7],
      [' 7 ', 7],
      ['\t7', 7],
      ['9999999999', 9_999_999_999],
    ])('the length %j', (length, bytes) => expect(read(only(`Content-Length:${length}`))?.bodyBytes).toBe(bytes));

    it('a head that is exactly as long as allowed', () => {
      const bytes = withLines().indexOf('\r\n\r\n');
      expect(read(withLines(), bytes)).toBeDefined();
      expect(read(withLines(), bytes - 1)).toBeUndefined();
    });
  });

  describe('leaves to node:http', () => {
    it.each([
      ['nothing at all', ''],
      ['line ends before the request', `\r\n${withLines()}`],
      ['a head that is not complete', `${START}Content-Length: 7\r\n`],
      ['a head that lacks its last byte', `${START}Content-Length: 7\r\n\r`],
      ['a head over the limit', withLines(`X-Long: ${'a'.repeat(MOST)}`)],
      ['no header at all', `${START}\r\n`],
      ['no length', only('Host: x')],
      ['bytes of TLS', '\x16\x03\x01\x02\x00\r\n\r\n'],
    ])('%s', (_name, text) => expect(read(text)).toBeUndefined());

    it.each([
      'GET /predict HTTP/1.1',
      'post /predict HTTP/1.1',
      'POST  /predict HTTP/1.1',
      'POST\t/predict HTTP/1.1',
      ' POST /predict HTTP/1.1',
      'POST /predict HTTP/1.0',
      'POST /predict HTTP/1.1 ',
      'POST /predict  HTTP/1.1',
      'POST /predict HTTP/1.10',
      'POST /predict HTTP/2.0',
      'POST /predict http/1.1',
      'POST /predict',
      'POST /pre dict HTTP/1.1',
      'POST /pre\tdict HTTP/1.1',
      'POST /pre\x00dict HTTP/1.1',
      'POST /pre\x7fdict HTTP/1.1',
      'POST /pr\xe9dict HTTP/1.1',
      'POST predict HTTP/1.1',
      'POST * HTTP/1.1',
      'POST http://host/predict HTTP/1.1',
      'POST /predict HTTP/1.1\n',
      'POST /predict HTTP/1.1\r',
      'POST /predict HTTP/1.1\r\nPOST /predict HTTP/1.1',
    ])('the request line %j', (line) =>
      expect(read(withLines().replace('POST /predict HTTP/1.1', () => line))).toBeUndefined(),
    );

    it.each([
      ['', 'empty'],
      [' ', 'blank'],
      ['+7', 'signed'],
      ['-7', 'negative'],
      ['0x7', 'hexadecimal'],
      ['7\t', 'followed by a tab, which Node takes for a fault'],
      ['7,7', 'a list'],
      ['7, 7', 'a list with a blank'],
      ['7 7', 'two numbers'],
      ['7.0', 'a fraction'],
      ['7e0', 'with an exponent'],
      ['"7"', 'quoted'],
      ['7;', 'with a parameter'],
      ['\xb7', 'no digit of ASCII'],
      ['10000000000', 'longer than any'],
      ['00000000007', 'padded without end'],
    ])('the length %j, which is %s', (length) => expect(read(only(`Content-Length: ${length}`))).toBeUndefined());

    it.each([
      ['the same', 'Content-Length: 7'],
      ['different ones', 'Content-Length: 8'],
      ['one in another case', 'content-LENGTH: 7'],
      ['one that is empty', 'Content-Length:'],
    ])('two lengths: %s', (_name, line) => {
      expect(read(withLines(line))).toBeUndefined();
      expect(read(only('Content-Length: 7', line))).toBeUndefined();
    });

    it.each([
      'Transfer-Encoding: chunked',
      'Transfer-Encoding: identity',
      'transfer-encoding:',
      'Expect: 100-continue',
      'Upgrade: h2c',
      'Upgrade:',
      'Trailer: X-Api-Key',
      'HTTP2-Settings: AAMAAABkAAQAAP__',
      'Connection: upgrade',
      'Connection: keep-alive, upgrade',
      'Connection: close, x-api-key',
      'Connection: close,',
      'Connection: x-api-key',
      'Connection:',
      'Proxy-Connection: close',
      'Proxy-Connection: keep-alive',
    ])('what %j may change', (line) => expect(read(withLines(line))).toBeUndefined());

    it.each([
      'Accept',
      'Authorization',
      'Content-Encoding',
      'Content-Type',
      'Origin',
      'Traceparent',
      'X-Api-Key',
      'X-Request-Id',
      'X-Request-Timeout-Ms',
    ])('%s that comes twice, also where one is empty', (name) => {
      expect(read(withLines(`${name}: 1`, `${name}: 1`))).toBeUndefined();
      expect(read(withLines(`${name}:`, `${name.toLowerCase()}: 1`))).toBeUndefined();
    });

    it.each([
      ['a folded line', 'X-Other: a\r\n b'],
      ['a line folded with a tab', 'X-Other: a\r\n\tb'],
      ['a length folded away', 'X-Other: a\r\n Content-Length: 9'],
      ['a bare LF', 'X-Other: a\nX-Api-Key: k'],
      ['a bare CR', 'X-Other: a\rX-Api-Key: k'],
      ['two CR', 'X-Other: a\r\r\nX-Api-Key: k'],
      ['NUL', 'X-Other: a\0b'],
      ['a control character', 'X-Other: a\x01b'],
      ['a vertical tab', 'X-Other: a\x0bb'],
      ['DEL', 'X-Other: a\x7fb'],
      ['a space before the colon', 'X-Other : a'],
      ['a tab before the colon', 'X-Other\t: a'],
      ['a space before the name', ' X-Other: a'],
      ['a space within the name', 'X Other: a'],
      ['no name', ': a'],
      ['no colon', 'X-Other'],
      ['a name with NUL', 'X-\0Other: a'],
      ['a name in Latin-1', 'X-Oth\xe9r: a'],
      ['a name in brackets', '(X-Other): a'],
    ])('%s', (_name, line) => {
      expect(read(withLines(line))).toBeUndefined();
      // As the first line and as the last.
      expect(read(only(line, 'Content-Length: 7'))).toBeUndefined();
      expect(read(only('Content-Length: 7', line))).toBeUndefined();
    });

    it('a head that ends with bare LF, although another head follows', () => {
      expect(read(`${START}Content-Length: 7\n\n${withLines()}`)).toBeUndefined();
      expect(read(`${START}Content-Length: 7\r\n\n${withLines()}`)).toBeUndefined();
    });
  });
});
