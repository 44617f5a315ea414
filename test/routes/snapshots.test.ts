// Snapshots over HTTP: frozen once, streamed alike in three formats, explained, replayed; and what
// may not be frozen.

import { sql } from 'drizzle-orm';
import { beforeAll, describe, expect, test } from 'vitest';
import { runningDigest } from '../../api/weights/digest.ts';
import { drawPlan } from '../../api/weights/draws.ts';
import { ledgerDigest } from '../../api/weights/ledger.ts';
import { openTestApp, type TestApp } from '../support/app.ts';
import { frozenSnapshot, must, rules } from '../support/builders.ts';

let api: TestApp;
let frozen: Awaited<ReturnType<typeof frozenSnapshot>>;
beforeAll(async () => {
  api = await openTestApp();
  frozen = await frozenSnapshot(api);
});

const fold0 = { version: 1, split: 'five-fold', fold: 0 };
const path = '/v1/datasets/phantom';

async function streamed(digest = frozen.snapshot.digest) {
  const headers = { accept: 'application/x-ndjson' };
  const text = await (
    await api.send('GET', `/v1/snapshots/${digest}/cases`, undefined, headers)
  ).text();
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
}

describe('freezing', () => {
  test('gives the stored snapshot again for the same inputs', async () => {
    const body = { ...fold0, ruleSet: 'rare@1', reason: 'once more' };
    const again = await api.call('POST', `${path}/snapshots`, body);
    expect(again.status).toBe(200);
    expect(again.body).toEqual(frozen.snapshot);
  });

  test('has a digest that the streamed cases give with the header', async () => {
    const running = runningDigest(frozen.snapshot.header);
    for (const one of await streamed())
      running.add(one.id, one.targetUnits, one.drawUnits, one.lossFactor);
    expect(running.digest()).toBe(frozen.snapshot.digest);
  });

  test('holds the training side of the fold, less the excluded cases, and names those', async () => {
    const ids = (await streamed()).map(({ id }) => id);
    const excluded = frozen.snapshot.excluded.map(({ id }: { id: string }) => id);
    expect([...ids, ...excluded].sort()).toEqual([...frozen.folds[0].train].sort());
    expect(frozen.snapshot.excluded[0].reason).toBe('motion: case.quality < 0.2');
  });

  test('says what the what-if said, and the what-if stores nothing', async () => {
    const before = (await must(api, 200, 'GET', `${path}/snapshots`)).items.length;
    const answer = await must(api, 200, 'POST', `${path}/what-if`, { ...fold0, rules });
    const { diagnostics, excluded } = frozen.snapshot;
    expect(answer).toEqual({
      diagnostics,
      excluded,
      largest: diagnostics.largest,
      groups: diagnostics.groups,
      changes: [],
    });
    expect((await must(api, 200, 'GET', `${path}/snapshots`)).items).toHaveLength(before);
  });

  const impossible: [string, object, number, string][] = [
    ['an unknown split', { split: 'other' }, 404, 'no split "other"'],
    ['an unknown fold', { fold: 9 }, 404, 'folds 0 to 4'],
    ['an unknown version', { version: 7 }, 404, 'no version 7'],
    ['an unknown rule set', { ruleSet: 'none@1' }, 404, 'no rule set "none@1"'],
    ['no reason', { reason: ' ' }, 422, 'say why'],
    ['a misspelt field', { resaon: 'x' }, 422, 'resaon'],
  ];
  test.each(impossible)('is refused for %s', async (_, change, status, says) => {
    const body = { ...fold0, ruleSet: 'rare@1', reason: 'x', ...change };
    const answer = await api.call('POST', `${path}/snapshots`, body);
    expect(answer.status).toBe(status);
    expect(JSON.stringify(answer.body)).toContain(says.replaceAll('"', '\\"'));
  });

  const refusedRules: [string, object, string][] = [
    [
      'that exclude every case',
      { exclude: [{ name: 'all', when: 'true' }] },
      'none of the 32 cases remain',
    ],
    [
      'whose formula is negative',
      { sampling: { terms: [{ name: 'f', kind: 'formula', expression: 'case.quality - 2.0' }] } },
      'case_00',
    ],
    [
      'that exclude by an optional attribute unasked',
      { exclude: [{ name: 'small', when: 'case.lesionMl < 1.0' }] },
      'has(case.lesionMl)',
    ],
  ];
  test.each(refusedRules)(
    'is refused for rules %s, naming case or field',
    async (_, document, says) => {
      const answer = await api.call('POST', `${path}/what-if`, { ...fold0, rules: document });
      expect(answer.status).toBe(422);
      expect(JSON.stringify(answer.body)).toContain(says);
    },
  );

  test('asks for a word when the effective fraction is low', async () => {
    const terms = [
      { name: 'one', kind: 'formula', expression: "case.site == 'B' ? 1000.0 : 0.001" },
    ];
    const document = { sampling: { terms, floor: 0.01, cap: 100 } };
    await must(api, 201, 'POST', `${path}/rule-sets`, {
      name: 'steep',
      rules: document,
      reason: 'x',
    });
    const body = { ...fold0, ruleSet: 'steep@1', reason: 'x' };
    const answer = await api.call('POST', `${path}/snapshots`, body);
    expect(answer.status).toBe(422);
    expect(answer.body.errors[0].pointer).toBe('/acceptLowEffective');
    await must(api, 201, 'POST', `${path}/snapshots`, { ...body, acceptLowEffective: true });
  });
});

describe('reading', () => {
  test('streams the same numbers in three formats', async () => {
    const url = `/v1/snapshots/${frozen.snapshot.digest}/cases`;
    const lines = await streamed();
    const json = await (
      await api.send('GET', url, undefined, { accept: 'application/json' })
    ).json();
    expect(json).toEqual({
      digest: frozen.snapshot.digest,
      scoresDigest: frozen.snapshot.scoresDigest,
      header: frozen.snapshot.header,
      excluded: frozen.snapshot.excluded,
      cases: lines,
    });
    const csv = await (await api.send('GET', url, undefined, { accept: 'text/csv' })).text();
    const [head, ...rows] = csv.trimEnd().split('\r\n');
    expect(head).toBe('id,targetUnits,drawUnits,lossFactor,score');
    expect(rows).toEqual(lines.map((one) => Object.values(one).join(',')));
    const wrong = await api.call('GET', url, undefined, { accept: 'image/png' });
    expect(wrong.status).toBe(406);
  });

  test('is immutable: its ETag is the digest, and 304 answers it', async () => {
    const url = `/v1/snapshots/${frozen.snapshot.id}`;
    const etag = (await api.send('GET', url)).headers.get('etag') as string;
    expect(etag).toBe(`"${frozen.snapshot.digest}"`);
    expect((await api.send('GET', url, undefined, { 'if-none-match': etag })).status).toBe(304);
  });

  test('replays draws with their ledger digest, whole or in part', async () => {
    const lines = await streamed();
    const drawUnits = lines.map((one) => Number(one.drawUnits));
    const plan = drawPlan({
      digest: frozen.snapshot.digest,
      drawUnits,
      seed: 3,
      epoch: 1,
      drawsPerEpoch: 30,
    });
    const ids = Array.from(plan, (place) => lines[place].id);
    const url = `/v1/snapshots/${frozen.snapshot.digest}/draws?seed=3&epoch=1&draws=30`;
    for (const [query, from, to] of [
      ['', 0, 30],
      ['&from=4&count=5', 4, 9],
    ] as const) {
      const response = await api.send('GET', url + query);
      const drawn = (await response.text())
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line));
      expect(drawn).toEqual(ids.slice(from, to));
      const ledger = response.headers.get('counterweight-ledger-digest');
      expect(ledger).toBe(ledgerDigest(ids.slice(from, to)));
    }
    expect((await api.call('GET', `${url}&from=20&count=11`)).status).toBe(400);
  });

  test('explains a case: its factors multiply to the score that is stored', async () => {
    for (const one of await streamed()) {
      const why = await must(
        api,
        200,
        'GET',
        `/v1/snapshots/${frozen.snapshot.digest}/cases/${one.id}`,
      );
      const product = why.terms.reduce((all: number, term: any) => all * term.factor, 1);
      expect(product).toBeCloseTo(one.score, 9);
      expect(why.lossFactor).toBe(one.lossFactor);
      expect(why.targetProbability / why.drawProbability).toBeCloseTo(one.lossFactor, 9);
    }
  });

  test('says of an excluded case why it is not there', async () => {
    const { id } = frozen.snapshot.excluded[0];
    const answer = await api.call('GET', `/v1/snapshots/${frozen.snapshot.digest}/cases/${id}`);
    expect(answer.status).toBe(404);
    expect(answer.body.detail).toContain('motion: case.quality < 0.2');
  });
});

describe('what is stored', () => {
  test.each(['snapshots', 'snapshot_chunks', 'audit_entries', 'rule_sets'])(
    'refuses to change %s in SQL',
    async (table) => {
      const { orm } = api.database;
      for (const statement of [`update ${table} set workspace_id = 'x'`, `delete from ${table}`]) {
        const own = statement.replace(
          'workspace_id',
          table === 'snapshot_chunks' ? 'snapshot_id' : 'workspace_id',
        );
        const attempt = orm.execute(sql.raw(own));
        await expect(attempt).rejects.toMatchObject({
          cause: { message: expect.stringContaining('refused') },
        });
      }
    },
  );

  test('is refused by an explanation when it was altered behind the triggers', async () => {
    const other = await openTestApp();
    const { snapshot } = await frozenSnapshot(other);
    const { orm } = other.database;
    await orm.execute(sql`alter table snapshot_chunks disable trigger all`);
    await orm.execute(sql`update snapshot_chunks set loss_factors[1] = loss_factors[1] * 1.5`);
    const [first] = JSON.parse(
      await (
        await other.send('GET', `/v1/snapshots/${snapshot.digest}/cases`, undefined, {
          accept: 'application/json',
        })
      ).text(),
    ).cases;
    const answer = await other.call('GET', `/v1/snapshots/${snapshot.digest}/cases/${first.id}`);
    expect(answer.status).toBe(500);
    expect(answer.body.detail).toContain('lossFactor');
  });
});

describe('the audit chain', () => {
  test('has an entry with actor and reason for every change, and holds', async () => {
    const { items } = await must(api, 200, 'GET', '/v1/audit?limit=500');
    const actions = new Set(items.map(({ action }: any) => action));
    for (const action of [
      'dataset.created',
      'version.opened',
      'cases.uploaded',
      'split.put',
      'version.committed',
      'rule-set.added',
      'snapshot.frozen',
    ]) {
      expect(actions).toContain(action);
    }
    const freeze = items.find(({ action }: any) => action === 'snapshot.frozen');
    expect(freeze).toMatchObject({
      actor: 'admin',
      reason: 'first run',
      subject: `snapshot/${frozen.snapshot.digest}`,
    });
    expect(await must(api, 200, 'GET', '/v1/audit/verify')).toMatchObject({
      ok: true,
      checked: items.length,
    });
  });

  test('names the entry that was altered behind the triggers', async () => {
    const other = await openTestApp();
    await frozenSnapshot(other);
    await other.database.orm.execute(sql`alter table audit_entries disable trigger all`);
    await other.database.orm.execute(
      sql`update audit_entries set text = replace(text, 'admin', 'nobody') where sequence = 3`,
    );
    const verdict = await must(other, 200, 'GET', '/v1/audit/verify');
    expect(verdict).toMatchObject({
      ok: false,
      sequence: 3,
      detail: expect.stringContaining('altered'),
    });
  });
});
