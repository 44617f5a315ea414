// One comment on the pull request, found again by a marker that nobody sees: written once, then
// rewritten by every later run of the same step.

import { senderOf } from '../../api/contract/sending.ts';
import type { RunEvent } from './event.ts';
import type { Inputs } from './inputs.ts';
import { successes, type World } from './service.ts';

type Comment = { id: number; body?: string; html_url?: string };

const pageSize = 100;
const mostPages = 30;
const mostCharacters = 65_000;

/** Writes or rewrites the comment; answers where it is. Fails where it may not. */
export async function writeComment(
  world: World,
  { githubToken }: Pick<Inputs, 'githubToken'>,
  event: RunEvent & { pullRequest: number },
  text: string,
): Promise<string> {
  const api = event.githubApi.replace(/\/+$/, '');
  const patience = { tries: 3 };
  const options = { ...world, api, token: githubToken, patience, timeoutMs: 20_000, whole: true };
  const send = successes(api, senderOf(options));
  const headers = { accept: 'application/vnd.github+json', 'user-agent': 'counterweight-action' };
  const marker = `<!-- counterweight ${event.place} -->`;
  const body = JSON.stringify({ body: `${marker}\n${text}`.slice(0, mostCharacters) });
  const issues = `/repos/${event.repository}/issues`;
  const list = `${issues}/${event.pullRequest}/comments`;
  const page = async (number: number): Promise<Comment[]> => {
    const path = `${list}?per_page=${pageSize}&page=${number}`;
    return (await (await send('GET', path, { headers })).json()) as Comment[];
  };
  let known: Comment | undefined;
  for (let number = 1; number <= mostPages && known === undefined; number += 1) {
    const comments = await page(number);
    known = comments.find((one) => one.body?.startsWith(marker));
    if (comments.length < pageSize) break;
  }
  const written =
    known === undefined
      ? await send('POST', list, { headers, body })
      : await send('PATCH', `${issues}/comments/${known.id}`, { headers, body });
  return ((await written.json()) as Comment).html_url ?? '';
}
