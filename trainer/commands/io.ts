// What a command is given: its two outputs, the service, time. Machine output alone goes to stdout;
// progress and words go to stderr.

import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { type Client, createClient } from '../client.ts';

export type Io = {
  /** stdout: results. */
  out: (line: string) => void;
  /** stderr: words for people. */
  say: (line: string) => void;
  env: Record<string, string | undefined>;
  fetch: typeof fetch;
  /** Milliseconds of a clock. */
  now: () => number;
  /** Waits so long, or until the signal. */
  sleep: (milliseconds: number, signal?: AbortSignal) => Promise<void>;
  /** Whether stderr is a terminal, where bars can move. */
  terminal: boolean;
  /** Sets the exit code of a command that ran to its end. */
  exitWith: (code: number) => void;
};

export type AddCommand = (program: Command, io: Io) => void;

export type ServiceOptions = { api?: string; token?: string; json?: boolean };

export const systemIo: Io = {
  out: (line) => process.stdout.write(`${line}\n`),
  say: (line) => process.stderr.write(`${line}\n`),
  env: process.env,
  fetch: (...args) => fetch(...args),
  now: () => Date.now(),
  sleep: (milliseconds, signal) =>
    sleep(milliseconds, undefined, { signal }).catch(() => undefined), // only the signal throws
  terminal: process.stderr.isTTY === true,
  exitWith: (code) => {
    process.exitCode = code;
  },
};

/** The options of every command that talks to the service. */
export function withService(command: Command): Command {
  return command
    .option('--api <url>', 'address of the service (CW_API, else http://127.0.0.1:8787)')
    .option('--token <token>', 'bearer token (CW_TOKEN)')
    .option('--json', 'answer JSON on stdout');
}

export function clientOf(io: Io, { api, token }: ServiceOptions): Client {
  return createClient({
    api: api ?? io.env.CW_API ?? 'http://127.0.0.1:8787',
    token: token ?? io.env.CW_TOKEN,
    fetch: io.fetch,
    sleep: io.sleep,
    now: io.now,
  });
}

/** Rows as aligned columns. */
export function table(rows: string[][]): string {
  const widths = rows[0].map((_, k) => Math.max(...rows.map((row) => row[k].length)));
  return rows
    .map((row) =>
      row
        .map((cell, k) => cell.padEnd(widths[k]))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

export const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
