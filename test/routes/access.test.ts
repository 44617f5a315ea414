// Every route of the OpenAPI document, asked by every role, by nobody and from another workspace,
// about things that are there. What is refused stores nothing and shows nothing.

import { sql } from 'drizzle-orm';
import { beforeAll, describe, expect, test } from 'vitest';
import { createApp } from '../../api/app.ts';
import type { Deps } from '../../api/deps.ts';
import { rows } from '../../api/store/database.ts';
import { routeNames } from '../docs/topics.ts';
import { type Asker, openTeams, type Teams } from '../support/access-objects.ts';
import { accessPage } from '../support/access-page.ts';
import { accessRows, allowed, type Named, type Row } from '../support/access-rows.ts';

const routes = routeNames(createApp({ log: () => {}, database: {} } as unknown as Deps));
const known = routes.filter((route) => accessRows[route] !== undefined); // the others fail below

let teams: Teams;
beforeAll(async () => {
  teams = await openTeams();
});

/** What an asker is answered. */
function expected(row: Row, { role, workspace }: Asker): number {
  if (row.may === 'anyone') return row.own;
  if (role === 'none' || (role === 'trainer') !== (row.may === 'trainer')) return 401;
  if (role !== 'trainer' && !(allowed[row.may] as string[]).includes(role)) return 403;
  if (row.may === 'deployment' && workspace !== 'default') return 403;
  return row.elsewhere === 'nothing' && workspace !== 'a' ? 404 : row.own;
}

let count = 0;

/** The request of a row about what is named. */
function requestOf(route: string, named: Named) {
  const { at, query, body } = accessRows[route];
  const [method, template] = route.split(' ');
  const k = ++count;
  const places: Record<string, string> = {
    ...named,
    n: '1',
    split: 'five-fold',
    attribute: 'quality',
    caseId: 'case_0004',
    ...at?.(named, k),
  };
  const path = template.replaceAll(/\{(\w+)\}/g, (_, place) => {
    if (places[place] === undefined) throw new Error(`${route}: say in \`at\` what {${place}} is`);
    return encodeURIComponent(places[place]);
  });
  const asked = typeof query === 'function' ? query(named) : query;
  return { method, path: asked === undefined ? path : `${path}?${asked}`, body: body?.(named, k) };
}

async function ask(asker: Asker, { method, path, body }: ReturnType<typeof requestOf>) {
  const response = await asker.send(method, path, body);
  return { status: response.status, text: await response.text() };
}

/** A thing of the same kind that is nowhere, called in the same way. */
const nothing = (text: string) => text.replaceAll(/[a-z0-9]{3}(?=$|@|[:-]\d+$)/g, '000');
const nothingOf = (named: Named) =>
  Object.fromEntries(Object.entries(named).map(([key, text]) => [key, nothing(text)])) as Named;

/** A problem without what is of this request alone: its id, and the names that were sent. */
function unnamed(text: string, named: Named): string {
  const { requestId: _, traceId: __, instance: ___, ...problem } = JSON.parse(text);
  return Object.values(named)
    .toSorted((a, b) => b.length - a.length)
    .reduce((left, name) => left.replaceAll(name, '...'), JSON.stringify(problem));
}

/** A digest of everything that is stored, but for when a token was last used. */
async function stored(): Promise<Record<string, string>> {
  const { orm } = teams.api.database;
  const tables = await rows<{ name: string }>(
    orm,
    sql`select relname as name from pg_class where relkind = 'r'
      and relnamespace = 'public'::regnamespace order by 1`,
  );
  const digests = tables.map(
    ({ name }) => sql`select ${name}::text as name, count(*) || ' ' || md5(coalesce(string_agg(
      (to_jsonb(t) - 'last_used_at')::text, '' order by to_jsonb(t)::text), '')) as digest
      from ${sql.identifier(name)} t`,
  );
  const found = await rows<{ name: string; digest: string }>(
    orm,
    sql.join(digests, sql` union all `),
  );
  return Object.fromEntries(found.map(({ name, digest }) => [name, digest]));
}

test('every route has a row, and every row a route', () => {
  const missing = routes.filter((route) => accessRows[route] === undefined);
  const add =
    'Add the new route to test/support/access-rows.ts: who may, the status then, what another ' +
    'workspace is answered, what its path names (made in access-objects.ts); then write ' +
    'api/http/access.md again, as it says itself.';
  expect(missing, add).toEqual([]);
  expect(Object.keys(accessRows).filter((route) => !routes.includes(route))).toEqual([]);
});

test('api/http/access.md is the table as it is', async () => {
  const page = accessPage(known, accessRows);
  await expect(page).toMatchFileSnapshot('../../api/http/access.md');
});

test('what is compared below can differ: any stored value, every name of nothing', async () => {
  const { orm } = teams.api.database;
  const before = await stored();
  await orm.execute(sql`update tokens set last_used_at = now()`);
  expect(await stored()).toEqual(before);
  await orm.execute(sql`update datasets set description = 'other' where name = 'phantom'`);
  expect(await stored()).not.toEqual(before);
  for (const named of teams.forms) {
    const same = Object.entries(nothingOf(named)).filter(
      ([key, text]) => named[key as never] === text,
    );
    expect(same).toEqual([]);
  }
});

describe('who is refused is answered so, and nothing is stored or shown:', () => {
  let before: Record<string, string>;
  beforeAll(async () => {
    before = await stored();
  });

  test.each(known)('%s', async (route) => {
    const row = accessRows[route];
    for (const asker of teams.askers.filter((one) => expected(row, one) !== row.own)) {
      const status = expected(row, asker);
      // The admin elsewhere is let into every look-up there is, so asks in every form.
      const looksUp = status === 404 && asker.workspace === 'b' && asker.role === 'admin';
      for (const named of looksUp ? teams.forms : teams.forms.slice(0, 1)) {
        const answer = await ask(asker, requestOf(route, named));
        const what = `${asker.called}, ${named.dataset}, ${named.snapshot}`;
        expect([what, answer.status]).toEqual([what, status]);
        if (!looksUp) continue;
        const without = nothingOf(named);
        const other = await ask(asker, requestOf(route, without));
        expect(unnamed(answer.text, named)).toBe(unnamed(other.text, without));
      }
    }
    expect(await stored()).toEqual(before);
  });
});

describe('who may is let through, and sees nothing of another workspace:', () => {
  test.each(known)('%s', async (route) => {
    const row = accessRows[route];
    const admitted = teams.askers.filter((one) => expected(row, one) === row.own);
    expect(admitted.length).toBeGreaterThan(0);
    for (const asker of admitted) {
      const answer = await ask(asker, requestOf(route, teams.forms[0]));
      expect([asker.called, answer.status, answer.text]).toEqual([
        asker.called,
        row.own,
        answer.text,
      ]);
      if (asker.workspace === 'a') continue;
      expect(teams.secrets.filter((secret) => answer.text.includes(secret))).toEqual([]);
    }
  });
});
