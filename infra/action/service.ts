// The service as the action asks it: the contract's typed client, whose failures say what a step's
// log should say.

import { type TypedClient, typedClient } from '../../api/contract/client.ts';
import { problemOf } from '../../api/contract/problems.ts';
import {
  type RenewableToken,
  type Send,
  type SenderOptions,
  type SendFailure,
  senderOf,
} from '../../api/contract/sending.ts';
import { exitCodes, type Failure, failure, isFailure } from './failure.ts';

/** Time, network and log of a step; tests of the bundle have the real ones. */
export type World = {
  env: Record<string, string | undefined>;
  fetch: typeof fetch;
  sleep: (milliseconds: number, signal?: AbortSignal) => Promise<void>;
  random: () => number;
  now: () => number;
  log: (line: string) => void;
};

export type ServiceOptions = {
  api: string;
  token: string | RenewableToken | undefined;
  /** Ends every request that has no signal of its own. */
  signal?: AbortSignal;
} & Partial<Pick<SenderOptions, 'patience' | 'timeoutMs' | 'mayRepeat' | 'onRetry'>>;

export type Service = TypedClient & { api: string; send: Send };

/** A client of the service at an address. */
export function serviceOf(world: World, options: ServiceOptions): Service {
  const sender = senderOf({
    ...world,
    patience: { tries: 5 },
    timeoutMs: 60_000,
    whole: true,
    ...options,
  });
  const send = successes(options.api, (method, path, given) =>
    sender(method, path, { ...given, signal: given?.signal ?? options.signal }),
  );
  return { ...typedClient(send), api: options.api, send };
}

/** A function that sends, made to fail where the answer is no success. */
export function successes(api: string, sender: Send): Send {
  return async (method, path, given) => {
    const answer = await sender(method, path, given).catch((error: SendFailure | Failure) => {
      if (isFailure(error)) throw error; // of the token, which could not be had
      const silent = error.sending === 'unreachable';
      throw failure(`no answer from ${api} (${error.message})`, exitCodes.failed, { silent });
    });
    if (answer.ok) return answer;
    throw await refusalOf(answer);
  };
}

async function refusalOf(answer: Response): Promise<Failure> {
  const problem = await problemOf(answer);
  const { status, requestId, detail } = problem;
  const silent = status >= 500 || status === 429;
  if (status < 500) return failure(detail, exitCodes.refused, { problem, silent });
  const id = requestId === undefined ? '' : ` (request ${requestId})`;
  return failure(`${detail}${id}`, exitCodes.failed, { problem, silent });
}
