// What a request works with once it is known who asks.

import { expect, test } from 'vitest';
import { depsWithin } from '../../api/services/access.ts';
import { openTestApp } from '../support/app.ts';

test('the database of a request is the one that shows its workspace', async () => {
  const { deps } = await openTestApp();
  const asked: string[] = [];
  const own = { ...deps.database.orm } as typeof deps.database.orm;
  const within = (workspaceId: string) => {
    asked.push(workspaceId);
    return own;
  };
  const scoped = depsWithin({ ...deps, database: { ...deps.database, within } }, 'w1');
  expect(asked).toEqual(['w1']);
  expect(scoped.database.orm).toBe(own);
  expect(scoped.process).toBe(deps.process);
});
