import { validateSync } from 'class-validator';
import { DatabaseOptions } from './database-options';

it('are valid as they come', () => {
  expect(validateSync(new DatabaseOptions())).toEqual([]);
});

it('keep the promise that a call ends within 2 s, whichever of its waits runs out', () => {
  const { connectTimeoutMs, statementTimeoutMs, silenceMs } = new DatabaseOptions();
  expect(connectTimeoutMs).toBeLessThan(2000);
  expect(statementTimeoutMs + silenceMs).toBeLessThan(2000);
});

it('name each wrong value', () => {
  const wrong = Object.assign(new DatabaseOptions(), { poolSize: 1, embeddedFolder: 3, requireSeparateRoles: 'yes' });
  expect(validateSync(wrong).map(({ property }) => property)).toEqual([
    'embeddedFolder',
    'requireSeparateRoles',
    'poolSize',
  ]);
});
