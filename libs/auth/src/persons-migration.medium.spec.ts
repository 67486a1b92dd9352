import { OPERATOR } from '@sibyl/kernel';
import { Database } from '@sibyl/database';
import { createTestDatabase, silentLog, type TestDatabase } from '@sibyl/database/testing';
import { authMigrations } from './migrations';
import { personsMigration } from './persons-migration';

describe('keys from before persons were known', () => {
  let db: TestDatabase;
  afterAll(() => db.drop());

  it('get theirs by who issued whom', async () => {
    db = await createTestDatabase(authMigrations.filter((migration) => migration !== personsMigration));
    const id = (n: number): string => `00000000-0000-7000-8000-00000000000${n}`;
    const keys: [number, string, string][] = [
      [1, 'bootstrap', 'bootstrap'],
      [2, 'issued', id(1)],
      [3, 'issued', id(2)],
      [4, 'issued', id(3)],
      [5, 'issued', id(1)],
      [6, 'preset', 'bootstrap'],
      [7, 'issued', 'nobody knows'],
    ];
    for (const [n, origin, by] of keys)
      await db.database.query(
        `INSERT INTO auth.keys (id, prefix, name, role, origin, created_at, created_by, version)
         VALUES ($1, $2, 'k', 'admin', $3, now(), $4, $5)`,
        [id(n), `p${n}`, origin, by, n],
      );
    const after = await Database.start({ url: db.url, migrations: authMigrations }, silentLog);
    await after.close();
    const rows = await db.database.query<{ person: string }>('SELECT person FROM auth.keys ORDER BY id');
    expect(rows.map(({ person }) => person)).toEqual([OPERATOR, id(2), id(2), id(2), id(5), OPERATOR, id(7)]);
  });
});
