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
    const owner = postgres.owner.orm;
    chain = openChain(
      await startNodeStack(openPostgres({ url: postgres.urls.service }), { owner }),
    );
  });
  afterAll(async () => {
    await chain?.stack.stop();
    await postgres?.stop();
  });

  test.each(contract)('%s', (_sentence, take) => take(chain));
});
