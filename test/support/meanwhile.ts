// What two requests at the same moment do to each other, without any timing: something happens
// after the one has read and before its next transaction begins.

import type { Deps } from '../../api/deps.ts';

/** Deps whose first transaction waits until `happens` is done. */
export function withMeanwhile(deps: Deps, happens: () => Promise<unknown>): Deps {
  let waiting = true;
  const orm = new Proxy(deps.database.orm, {
    get: (target, name) => {
      const value = Reflect.get(target, name);
      if (name !== 'transaction') return typeof value === 'function' ? value.bind(target) : value;
      return async (...args: unknown[]) => {
        if (waiting) {
          waiting = false;
          await happens();
        }
        return await value.apply(target, args);
      };
    },
  });
  return { ...deps, database: { ...deps.database, orm, within: () => orm } };
}
