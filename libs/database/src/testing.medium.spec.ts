import { createTestDatabase } from './testing';

it('gives each spec file a migrated database on which the application role has only what it was granted', async () => {
  const db = await createTestDatabase([
    {
      id: '0001_notes',
      schema: 'notes',
      sql: 'CREATE TABLE notes.note (id int PRIMARY KEY, text text); GRANT SELECT, INSERT ON notes.note TO sibyl_app; GRANT SELECT ON notes.note TO sibyl_audit;',
    },
  ]);
  try {
    await db.database.query('INSERT INTO notes.note VALUES ($1, $2)', [1, 'hello']);
    expect(await db.database.query('SELECT current_user AS "user", * FROM notes.note')).toEqual([
      { user: 'sibyl_app', id: 1, text: 'hello' },
    ]);
    expect(await db.database.auditQuery('SELECT text FROM notes.note')).toEqual([{ text: 'hello' }]);
    await expect(db.database.query('DELETE FROM notes.note')).rejects.toThrow('permission denied');
    await expect(db.database.auditQuery('INSERT INTO notes.note VALUES (2)')).rejects.toThrow('permission denied');
    const found = await db.database.transaction((tx) => tx.query('SELECT count(*)::int AS n FROM notes.note'));
    expect(found).toEqual([{ n: 1 }]);
  } finally {
    await db.drop();
  }
});
