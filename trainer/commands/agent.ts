// counterweight agent --target NAME: launches the jobs of a target beside its engine, where no
// request of the service comes through. It only ever asks; nothing listens.

import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import type { AgentAnswer, ClaimAnswer } from '../../api/contract/agents.ts';
import { runAgent } from '../agent/loop.ts';
import { ownTarget } from '../agent/own-target.ts';
import type { Agent, AgentEvent } from '../agent/round.ts';
import type { Client } from '../client.ts';
import { type AddCommand, clientOf, type Io, type ServiceOptions, withService } from './io.ts';

type Options = ServiceOptions & { target: string; name: string; once?: boolean };

/** Longer than any answer of the service takes. */
const answerMs = 30_000;

export const agent: AddCommand = (program, io) => {
  withService(program.command('agent'))
    .description('launch the jobs of a target of engine "agent", beside its engine')
    .requiredOption('--target <name>', 'a target of the service, and of CW_TARGETS on this machine')
    .option('--name <name>', 'who claims; it stays the same over restarts', ownName())
    .option('--once', 'one round, then end')
    .action(async (options: Options) => {
      const stop = new AbortController();
      const onSignal = () => stop.abort();
      process.on('SIGTERM', onSignal).on('SIGINT', onSignal);
      try {
        await actAsAgent(io, options, stop.signal);
      } finally {
        process.off('SIGTERM', onSignal).off('SIGINT', onSignal);
      }
    });
};

/** Runs the agent of a machine until the signal. */
export async function actAsAgent(
  io: Io,
  options: Omit<Options, 'once'> & { once?: boolean },
  signal: AbortSignal,
): Promise<void> {
  const own = await ownTarget(io.env, options.target);
  const bounded: typeof fetch = (url, init) =>
    io.fetch(url, { ...init, signal: AbortSignal.timeout(answerMs) });
  const client = clientOf({ ...io, fetch: bounded }, options);
  const { name, target, json, once = false } = options;
  const agent: Agent = {
    ...own,
    name,
    version: ownVersion(),
    service: serviceOf(client, target),
    tell: (event) => (json ? io.out(JSON.stringify(event)) : io.say(sentence(event))),
    told: new Map(),
  };
  io.say(`agent ${name} of target ${target} (${own.target.engine}) asks ${client.api}`);
  await runAgent(agent, { once, signal, now: io.now, random: Math.random, sleep: io.sleep });
}

/** The two requests of an agent. */
export function serviceOf(client: Client, target: string): Agent['service'] {
  const paths = {
    claim: `/v1/agents/${encodeURIComponent(target)}/claim`,
    state: (id: string) => `/v1/agents/attempts/${encodeURIComponent(id)}/state`,
  };
  return {
    address: client.api,
    claim: (body) => client.call<ClaimAnswer>('POST', paths.claim, body),
    report: (id, body) => client.call<AgentAnswer>('POST', paths.state(id), body),
  };
}

function sentence({ event, launchKey, detail }: AgentEvent): string {
  const what = launchKey === undefined ? event : `${launchKey}: ${event}`;
  return detail === undefined ? what : `${what} (${detail})`;
}

function ownName(): string {
  return (
    hostname()
      .replaceAll(/[^A-Za-z0-9._-]/g, '-')
      .replace(/^[^A-Za-z0-9]+/, '') || 'agent'
  );
}

function ownVersion(): string {
  const path = new URL('../../package.json', import.meta.url);
  return JSON.parse(readFileSync(path, 'utf8')).version;
}
