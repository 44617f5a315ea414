// A process that dies in the middle of its work, without a process: from a chosen step on, no
// statement and no commit of it reaches the database any more.

import type { PGlite } from '@electric-sql/pglite';
import { drizzle } from 'drizzle-orm/pglite';
import type { Database } from '../../api/store/database.ts';

type Client = Pick<PGlite, 'query' | 'exec' | 'transaction'>;

export type CutDatabase = {
  database: Database;
  /** Lets so many steps pass, statements and commits, and none after them. */
  cutAfter: (steps: number) => void;
  /** Whether anything was cut since. */
  wasCut: () => boolean;
};

/** A second way to the same database, which can be cut. */
export function cutDatabase({ client }: { client: PGlite }): CutDatabase {
  let left = Number.POSITIVE_INFINITY;
  let cut = false;
  const step = () => {
    cut ||= left <= 0;
    left -= 1;
    if (cut) throw new Error('this process has died');
  };
  const counted = <Inner extends object>(inner: Inner): Inner =>
    new Proxy(inner, {
      get: (target, name) => {
        const value = Reflect.get(target, name);
        if (typeof value !== 'function') return value;
        if (name === 'transaction') return transaction;
        return async (...args: unknown[]) => {
          if (name === 'query' || name === 'exec') step();
          return await value.apply(target, args);
        };
      },
    });
  const transaction = (work: (tx: Client) => Promise<unknown>) =>
    client.transaction(async (tx) => {
      const result = await work(counted(tx) as unknown as Client);
      step();
      return result;
    });
  const orm = drizzle(counted(client));
  const script = async (text: string) => {
    await client.exec(text);
  };
  return {
    database: {
      kind: 'pglite',
      orm,
      within: () => orm,
      script,
      session: (work) => work({ orm, script }),
      close: async () => {},
    },
    cutAfter: (steps) => {
      left = steps;
      cut = false;
    },
    wasCut: () => cut,
  };
}
