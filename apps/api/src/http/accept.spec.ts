import { accepts, acceptsJson } from './accept';

describe('an Accept header', () => {
  it.each([
    undefined,
    '',
    '*/*',
    'application/json',
    'application/*',
    'text/html, application/json;q=0.1',
    'text/html,*/*;q=0.1',
    'APPLICATION/JSON',
    'application/json; charset=utf-8',
  ])('%p allows JSON', (header) => expect(acceptsJson(header)).toBe(true));

  it.each([
    'text/html',
    'application/json;q=0',
    'application/json;q=0, */*',
    'application/*;q=0, */*',
    'application/xml',
    'application/json;q=x',
  ])('%p excludes JSON', (header) => expect(acceptsJson(header)).toBe(false));

  it.each([
    ['text/plain', true],
    ['text/*;q=0.1', true],
    ['application/json, text/plain;q=0', false],
    ['application/json', false],
  ])('%p: may text be answered? %p', (header, is) => expect(accepts(header, 'text/plain')).toBe(is));
});
