// The contract on Node with pg and a real Postgres.

import { afterAll, beforeAll, describe, test } from 'vitest';
import { openPostgres } from '../../api/store/open-postgres.ts';
import { noPostgres, startPostgres, type TestPostgres } from '../support/postgres.ts';
import { type Chain, openChain } from './chain.ts';
import { contract } from './contract.ts';
import { startNodeStack } from './stack.ts';

describe.skipIf(noPostgres())('Node with pg and Postgres', () => {
  let postgres: TestPostgres;
  let chain: Chain;
  beforeAll(async () => {
    postgres = await startPostgres();
    const database = openPostgres({ url: postgres.urls.service });
    const options = { connections: 10, owner: postgres.owner.orm };
    chain = openChain(await startNodeStack(database, options));
  });
  afterAll(async () => {
    await chain?.stack.stop();
    await postgres?.stop();
  });

  test.each(contract)('%s', (_sentence, take) => take(chain));
});
