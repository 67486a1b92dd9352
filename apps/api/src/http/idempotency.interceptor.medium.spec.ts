import { DomainError } from '@sibyl/kernel';
import { HttpSurface, type SurfaceAnswer } from '../../../../test/support/http-surface';

describe('a creating request', () => {
  const surface = new HttpSurface();
  beforeAll(() => surface.start());
  afterAll(() => surface.stop());
  beforeEach(() => {
    surface.failure = undefined;
    surface.gate.limited = false;
    surface.captured.lines.length = 0;
    surface.events.length = 0;
  });

  describe('with an Idempotency-Key', () => {
    const send = (body: unknown, key: string): Promise<SurfaceAnswer> =>
      surface.post('/things', body, { 'Idempotency-Key': key });

    it('gives a repeat the first answer and makes nothing twice', async () => {
      const first = await send({ name: 'a' }, 'one');
      const again = await send({ name: 'a' }, 'one');
      expect(again).toMatchObject({ status: 201, body: first.body });
      expect(again.headers.get('location')).toBe('/things/a');
    });

    it('refuses another body under the same key', async () => {
      await send({ name: 'a' }, 'two');
      expect(await send({ name: 'b' }, 'two')).toMatchObject({ status: 422, body: { code: 'idempotency_conflict' } });
    });

    it('keeps a refusal', async () => {
      const first = await send({ name: 'too long' }, 'three');
      expect(first.status).toBe(400);
      expect((await send({ name: 'too long' }, 'three')).body).toEqual(first.body);
    });

    it('forgets a failure of ours, so that a repeat may succeed', async () => {
      surface.failure = new DomainError('database_unavailable', 'x');
      expect((await send({ name: 'a' }, 'four')).status).toBe(503);
      surface.failure = undefined;
      expect((await send({ name: 'a' }, 'four')).status).toBe(201);
    });

    it('answers even where the answer cannot be kept', async () => {
      const finish = jest.spyOn(surface.idempotency, 'finish').mockRejectedValueOnce(new Error('no database'));
      expect((await send({ name: 'a' }, 'five')).status).toBe(201);
      expect(surface.captured.lines).toEqual([expect.objectContaining({ level: 'warn' })]);
      finish.mockRestore();
    });
  });
});
