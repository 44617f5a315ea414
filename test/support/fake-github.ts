// GitHub as a step meets it, on the loopback address: OIDC tokens for the run, and the comments of
// a pull request.

import type { AddressInfo } from 'node:net';
import { serve } from '@hono/node-server';

export type FakeGithub = {
  /** What a runner adds to the environment of a job with `id-token: write`. */
  idTokenEnvironment: Record<string, string>;
  apiUrl: string;
  /** Tokens that were given out, with their audience. */
  idTokens: { token: string; audience: string }[];
  comments: { id: number; body: string }[];
  /** Requests that wrote a comment, as METHOD and path. */
  written: string[];
  /** Answers this status instead of writing; 0: writes. */
  refuses: number;
  close: () => void;
};

const requestToken = 'request-token';
const commentToken = 'ghs_of_this_run';
export const githubInputs = { 'github-token': commentToken, 'pr-comment': 'true' };

/** `idToken` makes the tokens; comments are those of octo-lab/segmentation#7. */
export async function openFakeGithub(
  idToken: (audience: string) => string | Promise<string>,
): Promise<FakeGithub> {
  const github: FakeGithub = {
    idTokenEnvironment: {},
    apiUrl: '',
    idTokens: [],
    comments: [],
    written: [],
    refuses: 0,
    close: () => server.close(),
  };
  const server = serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch: async (request) => {
      const { pathname, searchParams } = new URL(request.url);
      const bearer = request.headers.get('authorization');
      if (pathname === '/id-token') {
        if (bearer !== `Bearer ${requestToken}`) return new Response('', { status: 401 });
        const audience = searchParams.get('audience') ?? '';
        const token = await idToken(audience);
        github.idTokens.push({ token, audience });
        return Response.json({ count: 1, value: token });
      }
      if (bearer !== `Bearer ${commentToken}`) return new Response('', { status: 401 });
      return await commented(github, request, pathname);
    },
  });
  if (!server.listening) await new Promise((resolve) => server.once('listening', resolve));
  github.apiUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  github.idTokenEnvironment = {
    ACTIONS_ID_TOKEN_REQUEST_URL: `${github.apiUrl}/id-token?api-version=2.0`,
    ACTIONS_ID_TOKEN_REQUEST_TOKEN: requestToken,
  };
  return github;
}

const issues = '/repos/octo-lab/segmentation/issues';

async function commented(github: FakeGithub, request: Request, path: string): Promise<Response> {
  const { comments, written, refuses } = github;
  if (request.method === 'GET' && path === `${issues}/7/comments`) {
    const { searchParams } = new URL(request.url);
    const [size, page] = ['per_page', 'page'].map((name) => Number(searchParams.get(name)));
    return Response.json(comments.slice(size * (page - 1), size * page));
  }
  if (refuses > 0) return Response.json({ message: 'not accessible' }, { status: refuses });
  const { body } = (await request.json()) as { body: string };
  written.push(`${request.method} ${path}`);
  const id = Number(path.split('/').at(-1));
  const known = comments.find((one) => one.id === id);
  if (request.method === 'PATCH' && known !== undefined) {
    return Response.json(Object.assign(known, { body }));
  }
  const made = { id: comments.length + 1, body };
  if (request.method === 'POST') comments.push(made);
  return Response.json(made, { status: 201 });
}
