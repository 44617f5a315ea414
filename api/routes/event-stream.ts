// Live events (SSE). The store is polled by sequence, so a client that comes back with
// Last-Event-ID misses nothing, whichever process it reaches. The stream ends when the job has
// ended, or the token that asked no longer holds.

import type { Context } from 'hono';
import { streamSSE } from 'hono/streaming';
import { endStates } from '../contract/jobs.ts';
import type { Env } from '../http/context.ts';
import { stillHolds } from '../services/access.ts';
import { getJobState, jobEvents } from '../services/jobs/read.ts';

const pollMs = 1_000;

export async function eventStream(
  c: Context<Env>,
  { id, after }: { id: string; after: number },
): Promise<Response> {
  const deps = c.get('deps');
  const actor = c.get('actor');
  await getJobState(deps, actor, id);
  const last = Number(c.req.header('last-event-id') ?? after);
  return streamSSE(c, async (stream) => {
    let reached = Number.isSafeInteger(last) ? last : 0;
    while (!stream.aborted && (await stillHolds(deps, actor))) {
      const state = await getJobState(deps, actor, id);
      const events = await jobEvents(deps, actor, { id, after: reached, limit: 500 });
      for (const event of events) {
        await stream.writeSSE({
          id: String(event.sequence),
          event: event.kind,
          data: JSON.stringify(event),
        });
        reached = event.sequence;
      }
      if (events.length === 0 && endStates.includes(state)) return;
      if (events.length > 0) continue;
      // A comment: a client that has gone away is noticed by what is sent to it alone.
      await stream.write(':\n\n');
      await stream.sleep(pollMs);
    }
  });
}
