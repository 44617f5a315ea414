// Who the step is to the service. Without a token of its own, the run proves itself: a fresh OIDC
// token of GitHub is exchanged for a session, again and again while the step lasts.

import type { RenewableToken } from '../../api/contract/sending.ts';
import { senderOf } from '../../api/contract/sending.ts';
import { exitCodes, failure, isFailure } from './failure.ts';
import type { Inputs } from './inputs.ts';
import { successes, type World } from './service.ts';

/** The answer of `POST /v1/github/exchange`, as far as a step needs it. */
export type Session = {
  token: string;
  expiresAt: string;
  actor: string;
  workspace: string;
  /** Of a pull request: launches nothing. */
  dryRunOnly: boolean;
};

export type Sessions = RenewableToken & {
  /** The session in use, the first one where there was none. */
  session: () => Promise<Session>;
};

type Held = Session & { renewAt: number; endsAt: number };

/** Longest part of a session's life that is left when it is renewed. */
const mostLeftMs = 300_000;

/** Whether this run can be given OIDC tokens. */
export const hasIdTokens = ({ env }: Pick<World, 'env'>) =>
  Boolean(env.ACTIONS_ID_TOKEN_REQUEST_URL && env.ACTIONS_ID_TOKEN_REQUEST_TOKEN);

/** Sessions of this run; `mask` hears every secret before it is used. */
export function sessionsOf(
  world: World,
  inputs: Pick<Inputs, 'api' | 'audience' | 'policy'>,
  mask: (secret: string) => void,
): Sessions {
  let held: Held | null = null;
  let underWay: Promise<Held> | null = null;
  const exchanged = () => {
    underWay ??= exchange(world, inputs, mask)
      .then((session) => {
        held = session;
        return session;
      })
      .finally(() => {
        underWay = null;
      });
    return underWay;
  };
  const session = async () => {
    if (held === null) return await exchanged();
    if (world.now() < held.renewAt) return held;
    const old = held;
    return await exchanged().catch((error) => {
      if (isFailure(error) && error.silent && world.now() < old.endsAt) return old;
      throw error;
    });
  };
  return {
    session,
    current: async () => (await session()).token,
    renewed: async (refused) =>
      held !== null && held.token !== refused ? held.token : (await exchanged()).token,
  };
}

async function exchange(
  world: World,
  { api, audience, policy }: Pick<Inputs, 'api' | 'audience' | 'policy'>,
  mask: (secret: string) => void,
): Promise<Held> {
  const common = { ...world, patience: { tries: 5 }, timeoutMs: 20_000, whole: true };
  // Every try has a token of its own: the service takes each once.
  const withIdToken = async (url: string | URL | Request, init?: RequestInit) => {
    const idToken = await requestIdToken(world, audience, init?.signal ?? undefined);
    mask(idToken);
    return await world.fetch(url, { ...init, body: JSON.stringify({ token: idToken, policy }) });
  };
  const mayRepeat = () => true;
  const sender = senderOf({ ...common, api, token: undefined, fetch: withIdToken, mayRepeat });
  const headers = { 'content-type': 'application/json' };
  const startedAt = world.now();
  const answer = await successes(api, sender)('POST', '/v1/github/exchange', { headers });
  const session = (await answer.json()) as Session;
  mask(session.token);
  // By the service's own clock, where it is told: a runner's may be wrong by minutes.
  const clock = Date.parse(answer.headers.get('date') ?? '');
  const lifeMs = Date.parse(session.expiresAt) - (Number.isNaN(clock) ? Date.now() : clock);
  const endsAt = startedAt + lifeMs;
  world.log(
    `session of ${session.actor} in workspace ${session.workspace} until ${session.expiresAt}`,
  );
  return { ...session, endsAt, renewAt: endsAt - Math.min(lifeMs / 3, mostLeftMs) };
}

async function requestIdToken(
  { env, fetch }: World,
  audience: string,
  signal: AbortSignal | undefined,
): Promise<string> {
  const url = `${env.ACTIONS_ID_TOKEN_REQUEST_URL}&audience=${encodeURIComponent(audience)}`;
  const authorization = `Bearer ${env.ACTIONS_ID_TOKEN_REQUEST_TOKEN}`;
  const answer = await fetch(url, { headers: { authorization }, signal });
  const { value } = (answer.ok ? await answer.json() : {}) as { value?: string };
  if (value !== undefined) return value;
  throw new Error(`GitHub gave no OIDC token: status ${answer.status}`);
}

/** What to do where the step has no way to prove who it is. */
export const noCredentials = () =>
  failure(
    'there is neither input token nor an OIDC token: give the job "permissions: id-token: write", or a token of the service',
    exitCodes.usage,
  );
