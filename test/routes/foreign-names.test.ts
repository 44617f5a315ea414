// Names of another workspace where a path alone does not show them: in bodies, in queries, beside
// one's own, under headers. Each is as if it were not there.

import { beforeAll, describe, expect, test } from 'vitest';
import { launchTargetsSchema } from '../../api/contract/targets.ts';
import { openTestApp, sendingOf, type TestApp } from '../support/app.ts';
import { attributes, frozenSnapshot, must } from '../support/builders.ts';
import { createFakeLauncher } from '../support/fake-launcher.ts';
import { jobSeed, jobSettings } from '../support/jobs.ts';

const launcher = createFakeLauncher();
const dataPaths = { theirs: '/theirs', own: '/own' };
const alias = { reason: 'r' };

/** A workspace with a dataset of its name, a snapshot with an alias, and a job. */
async function workspace(api: TestApp, name: string) {
  const team = await api.inWorkspace(name);
  const { snapshot } = await frozenSnapshot(team, { name, count: name === 'own' ? 40 : 50 });
  const body = { ...alias, snapshots: { 0: snapshot.digest } };
  await must(team, 201, 'PUT', `/v1/datasets/${name}/aliases/best`, body);
  const job = await must(team, 201, 'POST', '/v1/jobs', launchOf(snapshot.digest));
  return { ...team, snapshot, job };
}

const launchOf = (snapshot: string, target = 'local') => ({
  snapshot,
  target,
  seed: jobSeed,
  settings: jobSettings,
  reason: 'r',
});

type Team = Awaited<ReturnType<typeof workspace>>;
let theirs: Team;
let own: Team;
/** A snapshot in every way that one is named. */
const waysTo = ({ snapshot }: Team, name: string) => [
  snapshot.id,
  snapshot.digest,
  `${name}@best:0`,
];

beforeAll(async () => {
  const targets = launchTargetsSchema.parse([
    { name: 'local', engine: 'local', dataPaths },
    { name: 'their-own', engine: 'local', dataPaths, workspaces: ['theirs'] },
  ]);
  const api = await openTestApp({ launcher, targets });
  theirs = await workspace(api, 'theirs');
  own = await workspace(api, 'own');
});

/** Asks as the own workspace; the status, and that neither chain has grown by it. */
async function asked(method: string, path: string, body?: unknown, headers = {}) {
  const heads = async () => [
    await must(own, 200, 'GET', '/v1/audit/head'),
    await must(theirs, 200, 'GET', '/v1/audit/head'),
  ];
  const before = await heads();
  const launches = launcher.launches.size;
  const answer = await own.call(method, path, body, headers);
  if (answer.status >= 400) {
    expect(await heads()).toEqual(before);
    expect(launcher.launches.size).toBe(launches);
  }
  return answer;
}

describe('a snapshot of another workspace, by id, digest and alias,', () => {
  test('is not launched, in one job or in a dry run; one’s own is', async () => {
    for (const snapshot of waysTo(theirs, 'theirs')) {
      for (const dryRun of [false, true]) {
        const body = { ...launchOf(snapshot), dryRun };
        const { status } = await asked('POST', '/v1/jobs', body);
        expect([snapshot, status]).toEqual([snapshot, 404]);
      }
    }
    for (const snapshot of waysTo(own, 'own')) {
      expect((await asked('POST', '/v1/jobs', launchOf(snapshot))).status).toBe(201);
    }
  });

  test('is not launched by its alias over folds', async () => {
    const { snapshot: _, ...rest } = launchOf('');
    const of = (dataset: string) => ({ ...rest, dataset, alias: 'best', folds: [0] });
    expect((await asked('POST', '/v1/jobs', of('theirs'))).status).toBe(404);
    expect((await asked('POST', '/v1/jobs', of('own'))).status).toBe(201);
  });

  test('is not compared with one’s own, from either side', async () => {
    const mine = own.snapshot.digest;
    for (const foreign of waysTo(theirs, 'theirs').map(encodeURIComponent)) {
      expect((await asked('GET', `/v1/snapshots/${mine}/diff/${foreign}`)).status).toBe(404);
      expect((await asked('GET', `/v1/snapshots/${foreign}/diff/${mine}`)).status).toBe(404);
    }
    expect((await asked('GET', `/v1/snapshots/${mine}/diff/${mine}`)).status).toBe(200);
  });

  test('is not said to be unchanged to who knows its digest', async () => {
    const conditional = { 'if-none-match': `"${theirs.snapshot.digest}"` };
    const path = `/v1/snapshots/${theirs.snapshot.digest}`;
    expect((await asked('GET', path, undefined, conditional)).status).toBe(404);
    const known = await theirs.send('GET', path, undefined, conditional);
    expect(known.status).toBe(304);
  });

  test('is not what an alias of one’s own is put on, as what does not exist is not', async () => {
    const put = async (snapshot: string) => {
      const body = { ...alias, snapshots: { 0: snapshot } };
      const refused = await asked('PUT', '/v1/datasets/own/aliases/other', body);
      const said = JSON.stringify(refused.body.errors);
      const [name] = snapshot.split('@');
      return [refused.status, said.replaceAll(snapshot, '...').replaceAll(`\\"${name}\\"`, '...')];
    };
    for (const snapshot of waysTo(theirs, 'theirs')) {
      const missing = snapshot.replace(/.{4}(?=$|@)/, '0000');
      expect([snapshot, ...(await put(snapshot))]).toEqual([snapshot, ...(await put(missing))]);
      expect(await put(snapshot)).toEqual([422, expect.stringContaining('/snapshots/0')]);
    }
    expect((await asked('GET', '/v1/datasets/own/aliases/other')).status).toBe(404);
  });

  test('is not given to a trainer that draws by another one', async () => {
    const trainer = sendingOf(own.app, launcher.launches.get(`cw-${own.job.id}-1`)?.token ?? '');
    const of = (digest: string) => trainer.send('GET', `/v1/trainer/snapshot?digest=${digest}`);
    expect((await of(own.snapshot.digest)).status).toBe(200);
    expect((await of(theirs.snapshot.digest)).status).toBe(404);
  });
});

test('jobs of another workspace stand beside none of one’s own', async () => {
  const compare = (...ids: string[]) => asked('GET', `/v1/jobs/compare?ids=${ids.join(',')}`);
  expect((await compare(own.job.id)).status).toBe(200);
  expect((await compare(theirs.job.id)).status).toBe(404);
  expect((await compare(own.job.id, theirs.job.id)).status).toBe(404);
});

test('rules of another workspace’s dataset are not copied, by name or by id', async () => {
  const { id } = await must(theirs, 200, 'GET', '/v1/datasets/theirs');
  const copy = (dataset: string) => ({
    from: { dataset, ruleSet: 'rare@1' },
    name: 'c',
    reason: 'r',
  });
  for (const dataset of ['theirs', id]) {
    expect((await asked('POST', '/v1/datasets/own/rule-sets/copy', copy(dataset))).status).toBe(
      404,
    );
  }
  await must(own, 201, 'POST', '/v1/datasets', { name: 'another', attributes });
  expect((await asked('POST', '/v1/datasets/another/rule-sets/copy', copy('own'))).status).toBe(
    201,
  );
});

test('a rule set of another workspace freezes nothing here', async () => {
  const { items } = await must(theirs, 200, 'GET', '/v1/datasets/theirs/rule-sets');
  const fold = { version: 1, split: 'five-fold', fold: 0, reason: 'r' };
  const freeze = (ruleSet: string) =>
    asked('POST', '/v1/datasets/own/snapshots', { ...fold, ruleSet });
  expect((await freeze(items[0].id)).status).toBe(404);
  const mine = await must(own, 200, 'GET', '/v1/datasets/own/rule-sets');
  expect((await freeze(mine.items[0].id)).status).toBe(200);
});

test('lists of one’s own dataset take no batch of another workspace', async () => {
  const folds = { version: 1, split: 'five-fold', folds: [1, 2], ruleSet: 'rare@1', reason: 'r' };
  const { batch } = await must(theirs, 201, 'POST', '/v1/datasets/theirs/snapshots', folds);
  const listed = async (of: Team, name: string) =>
    (await must(of, 200, 'GET', `/v1/datasets/${name}/snapshots?batch=${batch}`)).items.length;
  expect([await listed(theirs, 'theirs'), await listed(own, 'own')]).toEqual([2, 0]);
});

describe('a launch target for named workspaces', () => {
  test('is there for those and, to anybody else, not there', async () => {
    const names = async (of: Team) =>
      (await must(of, 200, 'GET', '/v1/targets')).items.map(({ name }: { name: string }) => name);
    expect([await names(theirs), await names(own)]).toEqual([['local', 'their-own'], ['local']]);
    expect((await asked('GET', '/v1/targets/their-own/check')).status).toBe(404);
    await must(theirs, 200, 'GET', '/v1/targets/their-own/check');
  });

  test('takes no job of others, and does not say its name to them', async () => {
    const launch = launchOf(own.snapshot.digest, 'their-own');
    const refused = await asked('POST', '/v1/jobs', launch);
    expect([refused.status, refused.body.detail]).toEqual([
      422,
      'There is no launch target "their-own"; this deployment has: local.',
    ]);
    const job = launchOf(theirs.snapshot.digest, 'their-own');
    expect((await theirs.call('POST', '/v1/jobs', job)).status).toBe(201);
  });
});
