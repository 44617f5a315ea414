// The contract on Node with the embedded database.

import { afterAll, beforeAll, describe, test } from 'vitest';
import { openTestDatabase } from '../support/database.ts';
import { type Chain, openChain } from './chain.ts';
import { contract } from './contract.ts';
import { startNodeStack } from './stack.ts';

describe('Node with PGlite', () => {
  let chain: Chain;
  beforeAll(async () => {
    chain = openChain(await startNodeStack(await openTestDatabase(), { connections: 1 }));
  });
  afterAll(() => chain?.stack.stop());

  test.each(contract)('%s', (_sentence, take) => take(chain));
});
