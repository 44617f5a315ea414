// Webhooks in the app in process: receivers from memory whose answers a test decides, a name server
// that a test decides too, and the tick.

import { readAllowedAddresses } from '../../api/services/webhooks/addresses.ts';
import { deliverWebhooks } from '../../api/services/webhooks/deliver.ts';
import { secretBoxOf } from '../../api/services/webhooks/secrets.ts';
import type { Answer, Outgoing, Webhooks } from '../../api/services/webhooks/transport.ts';
import type { Database } from '../../api/store/database.ts';
import { openTestApp, type TestApp } from './app.ts';
import { must } from './builders.ts';

export const webhookKey = Buffer.alloc(32, 7).toString('base64');
export const publicAddress = '93.184.215.14';

export type Received = Outgoing & { event: any };

export type WebhookTest = TestApp & {
  webhooks: Webhooks;
  /** What was sent, in order. */
  received: Received[];
  /** How receivers answer from now on. */
  answerWith: (answer: (outgoing: Outgoing) => Partial<Answer> | Promise<Partial<Answer>>) => void;
  /** What names resolve to from now on. */
  resolveTo: (resolve: (name: string) => string[]) => void;
  /** Makes a webhook; answers it with its secret. */
  add: (events?: string[], url?: string) => Promise<any>;
  tick: () => Promise<void>;
  deliveries: (id: string, state?: string) => Promise<any[]>;
  /** Does something that leaves the audit entry `token.created`. */
  happen: () => Promise<void>;
};

/** What the service sends with: a key, nothing listed, names that resolve to a public address. */
export async function webhooksSending(send: Webhooks['send']): Promise<Webhooks> {
  const box = await secretBoxOf(webhookKey);
  if (box === undefined) throw new Error('no key');
  const allowed = readAllowedAddresses(undefined);
  return { box, allowed, send, resolve: async () => [publicAddress] };
}

export async function openWebhookTest(
  options: { database?: Database; process?: number } = {},
): Promise<WebhookTest> {
  const api = await openTestApp(options);
  const received: Received[] = [];
  let answer: (outgoing: Outgoing) => Partial<Answer> | Promise<Partial<Answer>> = () => ({});
  let resolve = (_name: string): string[] => [publicAddress];
  const sending = await webhooksSending(async (outgoing) => {
    received.push({ ...outgoing, event: JSON.parse(outgoing.body) });
    return { status: 200, retryAfter: null, text: '', ...(await answer(outgoing)) };
  });
  const webhooks: Webhooks = { ...sending, resolve: async (name) => resolve(name) };
  api.deps.webhooks = webhooks;
  return {
    ...api,
    webhooks,
    received,
    answerWith: (next) => {
      answer = next;
    },
    resolveTo: (next) => {
      resolve = next;
    },
    add: (events = ['*'], url = 'https://hooks.example.org/in?key=hidden') =>
      must(api, 201, 'POST', '/v1/webhooks', { url, events, reason: 'the lab wants to know' }),
    tick: () => deliverWebhooks(api.deps),
    deliveries: async (id, state) => {
      const query = state === undefined ? '' : `&state=${state}`;
      const path = `/v1/webhooks/${id}/deliveries?limit=500${query}`;
      return (await must(api, 200, 'GET', path)).items;
    },
    happen: async () => {
      await api.as('someone', 'reader');
    },
  };
}
