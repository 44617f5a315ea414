// A client typed by the table of operations, over any function that sends. A problem document is an
// error that carries it.

import type { z } from 'zod';
import type { OperationSchemas, operations } from './operations.ts';
import type { Send, SendOptions } from './sending.ts';

type Table = typeof operations;
/** `METHOD /path/{name}` of an operation that speaks JSON. */
export type Operation = keyof Table;

type Part<Row, Key extends keyof OperationSchemas> =
  Row extends Record<Key, infer Schema> ? Extract<Schema, z.ZodType> : never;
type Names<Path> = Path extends `${string}{${infer Name}}${infer Rest}`
  ? Name | Names<Rest>
  : never;
/** Queries are written as what the service reads them as: a number for a number. */
type Written<Schema extends z.ZodType> = {
  [Key in keyof z.input<Schema>]: Key extends keyof z.output<Schema>
    ? z.output<Schema>[Key]
    : never;
};
type Optionally<Key extends string, Value> = undefined extends Value
  ? { [K in Key]?: Value }
  : Record<never, never> extends Value
    ? { [K in Key]?: Value }
    : { [K in Key]: Value };

/** What a request of an operation says. */
export type Asked<O extends Operation> = ([Names<O>] extends [never]
  ? { path?: undefined }
  : { path: Record<Names<O>, string | number> }) &
  ([Part<Table[O], 'body'>] extends [never]
    ? { body?: undefined }
    : Optionally<'body', z.input<Part<Table[O], 'body'>>>) &
  ([Part<Table[O], 'query'>] extends [never]
    ? { query?: undefined }
    : Optionally<'query', Written<Part<Table[O], 'query'>>>) & {
    /** Makes a POST repeatable: the service does it once and answers its repetitions the same. */
    key?: string;
    signal?: AbortSignal;
  };
type Rest<O extends Operation> =
  Record<never, never> extends Asked<O> ? [asked?: Asked<O>] : [asked: Asked<O>];

export type Answer<O extends Operation> = z.output<Part<Table[O], 'answer'>>;
export type Item<O extends Operation> = Answer<O> extends { items: (infer One)[] } ? One : never;

export type TypedClient = {
  /** Sends an operation's request and answers what came back. */
  ask: <O extends Operation>(operation: O, ...rest: Rest<O>) => Promise<Answer<O>>;
  /** Every item of a list, page by page. */
  askAll: <O extends Operation>(operation: O, ...rest: Rest<O>) => Promise<Item<O>[]>;
};

/** A client that sends through `send`, which answers successes only. */
export function typedClient(send: Send): TypedClient {
  const ask: TypedClient['ask'] = async <O extends Operation>(operation: O, ...rest: Rest<O>) =>
    (await jsonOf(await send(...requestOf(operation, rest[0])))) as Answer<O>;
  const askAll = async (operation: Operation, asked: LooseAsked = {}) => {
    const items: unknown[] = [];
    for (let cursor: string | null | undefined; cursor !== null; ) {
      const query = { limit: 500, ...asked.query, cursor };
      const request = requestOf(operation, { ...asked, query });
      const page = (await jsonOf(await send(...request))) as ListAnswer;
      items.push(...page.items);
      cursor = page.nextCursor;
    }
    return items;
  };
  return { ask, askAll: askAll as TypedClient['askAll'] };
}

type ListAnswer = { items: unknown[]; nextCursor: string | null };
type LooseAsked = {
  path?: Record<string, string | number>;
  query?: Record<string, unknown>;
  body?: unknown;
  key?: string;
  signal?: AbortSignal;
};

function requestOf(
  operation: Operation,
  asked: LooseAsked = {},
): [method: string, path: string, options: SendOptions] {
  const [method, template] = operation.split(' ');
  const { path: names = {}, query = {}, body, key, signal } = asked;
  const path = template.replaceAll(/\{(\w+)\}/g, (_, name) => encodeURIComponent(names[name]));
  const said = Object.entries(query).filter(([, value]) => value !== undefined);
  const search = new URLSearchParams(said.map(([name, value]) => [name, String(value)]));
  const headers = {
    ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    ...(key === undefined ? {} : { 'idempotency-key': key }),
    accept: 'application/json',
  };
  const options = { headers, signal, body: body === undefined ? undefined : JSON.stringify(body) };
  return [method, said.length === 0 ? path : `${path}?${search}`, options];
}

/** The JSON of an answer; null where it has no body. */
export async function jsonOf(response: Response): Promise<unknown> {
  const text = await response.text();
  return text === '' ? null : JSON.parse(text);
}
