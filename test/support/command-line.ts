// Command lines against the app in process.

import { run } from '../../trainer/cli.ts';
import { type Io, systemIo } from '../../trainer/commands/io.ts';
import type { TestApp } from './app.ts';

/** Runs a command line; answers its exit code and what it wrote. */
export async function commandLine(api: TestApp, args: string[]) {
  const out: string[] = [];
  const said: string[] = [];
  const io: Io = {
    ...systemIo,
    out: (line) => out.push(line),
    say: (line) => said.push(line),
    env: { CW_TOKEN: api.token },
    fetch: (async (url: string, init: RequestInit) => {
      const { pathname, search } = new URL(url);
      return await api.app.request(pathname + search, init);
    }) as typeof fetch,
  };
  return { code: await run(args, io), out: out.join('\n'), said: said.join('\n') };
}
