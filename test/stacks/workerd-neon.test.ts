// The contract inside workerd, as Cloudflare runs it, with Neon's driver over a WebSocket to a real
// Postgres.

import { afterAll, beforeAll, describe, test } from 'vitest';
import { noPostgres } from '../support/postgres.ts';
import { type Chain, openChain } from './chain.ts';
import { contract } from './contract.ts';
import { type Neon, startNeon, startWorkerStack } from './stack.ts';

describe.skipIf(noPostgres())("workerd with Neon's driver", () => {
  let neon: Neon;
  let chain: Chain;
  beforeAll(async () => {
    neon = await startNeon();
    chain = openChain(await startWorkerStack(neon));
  });
  afterAll(async () => {
    await chain?.stack.stop();
    await neon?.stop();
  });

  test.each(contract)('%s', (_sentence, take) => take(chain));
});
