// Requests to a stack, each noted: at the end it is known which routes of the OpenAPI document were
// called, what they answered, and what of it the document does not say.

import type { Stack } from './stack.ts';

export type Body = any;
export type Answer = { status: number; body: Body; headers: Headers };

export type Caller = {
  token: string;
  /** The bare answer, whose body is not read. */
  send: (method: string, path: string, options?: SendOptions) => Promise<Response>;
  /** The answer read as JSON (text where it is none); throws where its status is another. */
  must: (status: number, method: string, path: string, body?: unknown) => Promise<Body>;
};

export type SendOptions = {
  /** A string or bytes go as they are, anything else as JSON. */
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal;
};

export type Noted = { method: string; path: string; status: number; type: string };

export type Calls = { noted: Noted[]; as: (token: string) => Caller };

export function callsOf(stack: Stack): Calls {
  const noted: Noted[] = [];
  const as = (token: string): Caller => {
    const send: Caller['send'] = async (method, path, { body, headers, signal } = {}) => {
      const raw = typeof body === 'string' || body instanceof Uint8Array;
      const response = await fetch(`${stack.url}${path}`, {
        method,
        headers: {
          authorization: `Bearer ${token}`,
          ...(body === undefined || raw ? {} : { 'content-type': 'application/json' }),
          ...headers,
        },
        body: body === undefined ? undefined : raw ? (body as string) : JSON.stringify(body),
        signal,
      });
      const type = (response.headers.get('content-type') ?? '').split(';')[0];
      noted.push({ method, path: path.split('?')[0], status: response.status, type });
      return response;
    };
    const must: Caller['must'] = async (status, method, path, body) => {
      const response = await send(method, path, { body });
      const text = await response.text();
      if (response.status !== status) {
        throw new Error(`${method} ${path}: ${response.status} and not ${status}: ${text}`);
      }
      const type = response.headers.get('content-type') ?? '';
      return /^application\/(problem\+)?json/.test(type) ? JSON.parse(text) : text;
    };
    return { token, send, must };
  };
  return { noted, as };
}

type Operation = { responses: Record<string, { content?: Record<string, unknown> }> };
export type Document = { paths: Record<string, Record<string, Operation>> };

const patternOf = (path: string) =>
  new RegExp(`^${path.replace(/[.*+?^$()|[\]\\]/g, '\\$&').replaceAll(/\{\w+\}/g, '[^/]+')}$`);

/** The route of a request, as `GET /v1/jobs/{id}`; the one with fewest placeholders. */
export function routeOf({ paths }: Document, { method, path }: Noted): string | undefined {
  const [found] = Object.keys(paths)
    .filter((one) => method.toLowerCase() in paths[one] && patternOf(one).test(path))
    .sort((a, b) => a.split('{').length - b.split('{').length);
  return found === undefined ? undefined : `${method} ${found}`;
}

/** Routes of the document that none of the requests reached with a success. */
export function uncalledRoutes(document: Document, noted: Noted[]): string[] {
  const reached = new Set(
    noted.filter(({ status }) => status < 300).map((one) => routeOf(document, one)),
  );
  return Object.entries(document.paths)
    .flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    )
    .filter((route) => !reached.has(route));
}

/** Refusals that any route may give, whatever its document says: limits, methods, formats. */
const anywhere = [405, 406, 413, 415];

/** Answers of the service that its document does not tell of. */
export function undocumentedAnswers(document: Document, noted: Noted[]): string[] {
  const faults = noted.flatMap((one) => {
    const route = routeOf(document, one);
    if (route === undefined || anywhere.includes(one.status)) return [];
    const [method, path] = route.split(' ');
    const said = document.paths[path][method.toLowerCase()].responses[one.status];
    if (said === undefined) return [`${route} answered ${one.status}`];
    const types = Object.keys(said.content ?? {});
    if (types.length === 0 || types.includes(one.type)) return [];
    return [`${route} answered ${one.status} as ${one.type}, not ${types.join(', ')}`];
  });
  return [...new Set(faults)];
}
