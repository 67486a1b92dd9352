import { DomainError, received as describeValue } from '@sibyl/kernel';
import { ChangeKeyBody, IssueKeyBody, KeyListQuery } from '../keys/key.dto';
import { EventListQuery } from '../audit/audit.dto';
import { RequestValidationPipe } from './validation.pipe';

const pipe = new RequestValidationPipe();

async function refused(
  metatype: new () => object,
  value: unknown,
  type: 'body' | 'query' = 'body',
): Promise<DomainError> {
  try {
    await pipe.transform(value, { type, metatype });
  } catch (error) {
    if (error instanceof DomainError) return error;
    throw error;
  }
  throw new Error('was accepted');
}

describe('the validation of requests', () => {
  it('names an unknown field and the nearest known one', async () => {
    const error = await refused(IssueKeyBody, { name: 'a', scpes: ['predict'] });
    expect(error.code).toBe('unknown_field');
    expect(error.detail).toBe("Unknown field 'scpes'. Did you mean 'scopes'?");
    expect(error.faults).toEqual([
      { pointer: '/scpes', received: 'a field that does not exist', hint: "did you mean 'scopes'?" },
    ]);
  });

  it('lists every fault of a body at once, with pointers into nested objects', async () => {
    const error = await refused(IssueKeyBody, { rate_limit: { requests: 0, seconds: 'x' }, expires_at: 'tomorrow' });
    expect(error.code).toBe('invalid_parameter');
    expect(error.faults?.map((fault) => fault.pointer)).toEqual(
      expect.arrayContaining(['/name', '/rate_limit/requests', '/rate_limit/seconds', '/expires_at']),
    );
  });

  it.each(['__proto__', 'constructor', 'prototype'])('does not take %s for a field of a body', async (name) => {
    const body = JSON.parse(`{"name":"a","role":"team","${name}":{"polluted":true}}`) as object;
    const result = await pipe
      .transform(body, { type: 'body', metatype: IssueKeyBody })
      .catch((error: unknown) => error);
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
    expect(result).toMatchObject({ code: 'unknown_field', faults: [{ pointer: `/${name}` }] });
  });

  it('never repeats a value that came as text', async () => {
    const error = await refused(IssueKeyBody, { name: ['sk_secret'], role: 'sk_secret', cidrs: 'sk_secret' });
    expect(JSON.stringify(error.faults)).not.toContain('sk_secret');
  });

  it('takes null for what it may take away and refuses it elsewhere', async () => {
    await expect(
      pipe.transform({ expires_at: null }, { type: 'body', metatype: ChangeKeyBody }),
    ).resolves.toMatchObject({ expires_at: null });
    expect((await refused(ChangeKeyBody, { name: null })).faults?.[0]?.pointer).toBe('/name');
  });

  it.each([
    [{ limit: '7' }, 7],
    [{}, undefined],
  ])('reads numbers of a query from text: %j', async (query, limit) => {
    await expect(pipe.transform(query, { type: 'query', metatype: KeyListQuery })).resolves.toEqual(
      limit === undefined ? {} : { limit },
    );
  });

  it.each([{ limit: '1001' }, { limit: 'ten' }, { limit: ['1', '2'] }, { limit: '' }])('refuses %j', async (query) => {
    expect((await refused(KeyListQuery, query, 'query')).code).toBe('invalid_parameter');
  });

  it.each(['2026-02-30T00:00:00Z', '2026-01-15', '2026-01-15 10:00:00Z', '2026-01-15T10:00:00', '1768471200'])(
    'refuses %s as a time',
    async (from) => {
      expect((await refused(EventListQuery, { from }, 'query')).faults?.[0]?.pointer).toBe('/from');
    },
  );

  it.each(['[]', '"text"', '5', 'null'])('refuses %s where an object is due', async (text) => {
    expect((await refused(IssueKeyBody, JSON.parse(text))).code).toBe('invalid_parameter');
  });
});

describe('what is said of a wrong value', () => {
  it.each([
    [undefined, 'nothing'],
    [null, 'null'],
    [[1, 2], 'an array of 2'],
    ['abc', 'text of 3 characters'],
    [{}, 'an object'],
    [4.5, '4.5'],
    [true, 'true'],
  ])('%j is %s', (value, words) => expect(describeValue(value)).toBe(words));
});
