// A client of a service over HTTP as builders want one, so that what they make is made there too.

import type { Client } from '../../trainer/client.ts';
import type { Sending } from './app.ts';

/** Texts are sent as NDJSON, everything else as JSON; throws where the service refuses. */
export function sendingOver(client: Client): Sending {
  const send: Sending['send'] = async (method, path, body, headers = {}) => {
    const text = typeof body === 'string';
    return await client.send(method, path, {
      body: text ? body : JSON.stringify(body),
      headers: { 'content-type': text ? 'application/x-ndjson' : 'application/json', ...headers },
    });
  };
  return {
    send,
    call: async (method, path, body, headers) => {
      const answer = await send(method, path, body, headers);
      return { status: answer.status, body: (await answer.json()) as any };
    },
  };
}
