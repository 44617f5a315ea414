// The contract on Node with Neon's driver, over a WebSocket to a real Postgres.

import { neonConfig } from '@neondatabase/serverless';
import { afterAll, beforeAll, describe, test } from 'vitest';
import { WebSocket } from 'ws';
import { openNeon } from '../../api/store/open-neon.ts';
import { noPostgres } from '../support/postgres.ts';
import { type Chain, openChain } from './chain.ts';
import { contract } from './contract.ts';
import { type Neon, startNeon, startNodeStack } from './stack.ts';

describe.skipIf(noPostgres())("Node with Neon's driver", () => {
  let neon: Neon;
  let chain: Chain;
  beforeAll(async () => {
    neonConfig.webSocketConstructor = WebSocket; // Node has none before 22
    neon = await startNeon();
    const { postgres, bridge } = neon;
    const database = openNeon({ url: postgres.urls.service, proxy: bridge.proxy });
    const options = { connections: 2, owner: postgres.owner.orm };
    chain = openChain(await startNodeStack(database, options));
  });
  afterAll(async () => {
    await chain?.stack.stop();
    await neon?.stop();
  });

  test.each(contract)('%s', (_sentence, take) => take(chain));
});
