// What a team does from the command line, against the service in process: tokens, approvals,
// aliases, lineage, and several folds at once.

import { beforeAll, describe, expect, test } from 'vitest';
import { typedClient } from '../../../api/contract/client.ts';
import { run } from '../../../trainer/cli.ts';
import type { Client } from '../../../trainer/client.ts';
import { aliasText } from '../../../trainer/commands/alias.ts';
import { type Io, systemIo } from '../../../trainer/commands/io.ts';
import { lineageText } from '../../../trainer/commands/lineage.ts';
import { foldsText } from '../../../trainer/commands/snapshot.ts';
import { watchJobs } from '../../../trainer/commands/watch.ts';
import { must } from '../../support/builders.ts';
import { type JobTest, jobSettings, openJobTest } from '../../support/jobs.ts';

let api: JobTest;
let slept = 0;
beforeAll(async () => {
  api = await openJobTest();
});

/** Runs a command line with a token; answers its exit code and what it wrote. */
async function as(token: string, ...args: string[]) {
  const written = { code: 0, out: '', said: '' };
  const io: Io = {
    ...systemIo,
    out: (line) => {
      written.out += `${line}\n`;
    },
    say: (line) => {
      written.said += `${line}\n`;
    },
    env: { CW_TOKEN: token },
    now: () => slept,
    sleep: async (milliseconds) => {
      slept += milliseconds;
    },
    terminal: false,
    fetch: (async (url: string, init: RequestInit) => {
      const { pathname, search } = new URL(url);
      return await api.app.request(pathname + search, init);
    }) as typeof fetch,
  };
  written.code = await run(args, io);
  return written;
}
const counterweight = (...args: string[]) => as(api.token, ...args);
const freeze = ['snapshot', '--dataset', 'phantom', '--version', '1', '--rule-set', 'rare@1'];
const why = ['--reason', 'the next model'];

async function frozenFolds(): Promise<string[]> {
  const { out } = await counterweight(...freeze, '--folds', '0,1', ...why, '--json');
  return JSON.parse(out).items.map((one: { digest: string }) => one.digest);
}

describe('tokens', () => {
  test('create writes the secret alone to stdout; list and revoke name it by id', async () => {
    const asked = ['--name', 'laptop', '--actor', 'ann', '--role', 'approver'];
    const made = await counterweight('tokens', 'create', ...asked);
    const secret = made.out.trim();
    expect([made.code, secret]).toEqual([0, expect.stringMatching(/^cw_[0-9a-z]{52}$/)]);
    expect(made.said).not.toContain(secret);
    const listed = await counterweight('tokens', 'list', '--json');
    const { id } = JSON.parse(listed.out).items.at(-1);
    const shown = (await counterweight('tokens', 'list')).out;
    expect(shown).toMatch(new RegExp(`${id} +approver +ann +laptop +no end +never`));
    expect(shown + listed.out).not.toContain(secret);
    expect((await as(secret, 'tokens', 'list')).code).toBe(3);
    const revoked = await counterweight('tokens', 'revoke', id);
    expect([revoked.code, revoked.said]).toEqual([0, `token ${id} of ann is revoked\n`]);
    expect((await as(secret, 'alias', 'show', 'phantom')).said).toContain('was revoked');
    expect((await counterweight('tokens', 'list')).out).toContain('revoked at 2026-03-01');
  });

  test('create refuses a role that is none, as a fault of the command line', async () => {
    const asked = ['--name', 'x', '--actor', 'x', '--role', 'owner'];
    const refused = await counterweight('tokens', 'create', ...asked);
    expect([refused.code, refused.said]).toEqual([2, expect.stringContaining('approver')]);
  });
});

describe('workspaces', () => {
  test('add writes the secret alone to stdout; list names it, for the deployment alone', async () => {
    const made = await counterweight('workspaces', 'add', 'clinic', '--actor', 'bo', ...why);
    const secret = made.out.trim();
    expect([made.code, secret]).toEqual([0, expect.stringMatching(/^cw_[0-9a-z]{52}$/)]);
    expect(made.said).toMatch(/^workspace clinic: admin token \w+ for bo\n/);
    expect(made.said).not.toContain(secret);
    expect((await counterweight('workspaces', 'list')).out).toMatch(/\w+ +clinic +2026-03-01/);
    const listed = JSON.parse((await counterweight('workspaces', 'list', '--json')).out);
    expect(listed.items.map(({ name }: { name: string }) => name)).toEqual(['default', 'clinic']);
    expect((await as(secret, 'tokens', 'list')).out).toMatch(
      /admin +bo +first admin +no end +2026/,
    );
    const refused = await as(secret, 'workspaces', 'list');
    expect([refused.code, refused.said]).toEqual([3, expect.stringContaining('"default"')]);
  });
});

describe('snapshot --folds', () => {
  test('freezes each and shows them as alias set takes them', async () => {
    const { code, out } = await counterweight(...freeze, '--folds', '2,3', ...why);
    const { items } = await must(api, 200, 'GET', '/v1/datasets/phantom/snapshots?limit=500');
    const made = items.filter(({ header }: any) => header.fold === 2 || header.fold === 3);
    expect([code, out.trimEnd()]).toEqual([0, foldsText(made)]);
    expect(out).toMatch(/^2=sha256:[0-9a-f]{64} {2}\d+ cases, effective [0-9.]+ %\n3=/);
  });

  test.each([
    [[], 'either --fold or --folds'],
    [['--fold', '0', '--folds', '1'], 'either --fold or --folds'],
    [['--folds', '0,1', '--export', 'x.json'], '--export writes one fold'],
    [['--folds', '0,x'], 'a fold is a number'],
  ])('with %j is a fault of the command line', async (more, words) => {
    const refused = await counterweight(...freeze, ...why, ...more);
    expect([refused.code, refused.said]).toEqual([2, expect.stringContaining(words)]);
  });
});

describe('approve, alias and lineage', () => {
  test('a protected alias moves once somebody else approved, and all of it is shown', async () => {
    const [zero, one] = await frozenFolds();
    const ann = await api.as('ann', 'approver');
    const set = ['alias', 'set', 'phantom', 'best', `0=${zero}`, `1=${one}`, '--protect', ...why];
    const refused = await counterweight(...set);
    expect([refused.code, refused.said]).toEqual([3, expect.stringContaining('fold 0, 1 has no')]);
    for (const digest of [zero, one]) {
      const approved = await as(ann.token, 'approve', digest, '--meaning', 'use', ...why);
      expect(approved.out).toMatch(`of ${digest}: use, by ann`);
    }
    const moved = await counterweight(...set);
    const alias = await must(api, 200, 'GET', '/v1/datasets/phantom/aliases/best');
    expect([moved.code, moved.out.trimEnd()]).toEqual([0, aliasText(alias)]);
    expect(moved.out).toContain('phantom@best, move 1, protected\n');
    expect((await counterweight('alias', 'show', 'phantom', 'best')).out).toBe(moved.out);
    const all = await counterweight('alias', 'show', 'phantom', '--json');
    expect(JSON.parse(all.out)).toEqual({ items: [alias] });

    const lineage = await must(api, 200, 'GET', `/v1/snapshots/${one}/lineage`);
    const shown = await counterweight('lineage', 'phantom@best:1');
    expect(shown.out.trimEnd()).toBe(lineageText(lineage));
    for (const part of ['parents: none', 'jobs: none', 'by ann at', 'best 1, fold 1: from']) {
      expect(shown.out).toContain(part);
    }
    const { id } = lineage.approvals[0];
    const revoked = await as(ann.token, 'approve', one, '--revoke', id, '--reason', 'too early');
    expect(revoked.out).toContain('; revoked by ann: too early');
    const late = await counterweight('alias', 'set', 'phantom', 'best', `1=${one}`, ...why);
    expect([late.code, late.said]).toEqual([3, expect.stringContaining('fold 1 has no')]);
  });

  test('approve of what one froze oneself is refused', async () => {
    const refused = await counterweight('approve', api.snapshot, '--meaning', 'use', ...why);
    expect([refused.code, refused.said]).toEqual([3, expect.stringContaining('someone else')]);
  });

  test('alias set says --expected on, and takes protection away by --unprotect', async () => {
    const set = ['alias', 'set', 'phantom', 'plain', `0=${api.snapshot}`, ...why];
    const stale = await counterweight(...set, '--expected', '4');
    expect([stale.code, stale.said]).toEqual([3, expect.stringContaining('not at 4')]);
    expect((await counterweight(...set, '--expected', '0')).code).toBe(0);
    await as(
      (await api.as('bea', 'approver')).token,
      'approve',
      api.snapshot,
      '--meaning',
      'x',
      ...why,
    );
    expect((await counterweight(...set, '--protect')).out).toContain('move 2, protected');
    expect((await counterweight(...set, '--unprotect')).out).toContain('phantom@plain, move 3\n');
  });

  test.each([
    [['approve', 'x', '--reason', 'y'], 'either --meaning, or --revoke'],
    [['alias', 'set', 'phantom', 'a', 'x', '--reason', 'y'], '"x" is no FOLD=SNAPSHOT'],
    [['alias', 'set', 'phantom', 'a', '0=x', '0=y', '--reason', 'y'], 'named twice'],
    [['alias', 'set', 'phantom', 'a', '--reason', 'y'], 'missing required argument'],
    [
      ['alias', 'set', 'phantom', 'a', '0=x', '--protect', '--unprotect', '--reason', 'y'],
      'either --protect or --unprotect',
    ],
  ])('%j is a fault of the command line', async (args, words) => {
    const refused = await counterweight(...args);
    expect([refused.code, refused.said]).toEqual([2, expect.stringContaining(words)]);
  });
});

describe('launch --alias', () => {
  const settings = Object.entries(jobSettings).flatMap(([key, value]) => [
    '--set',
    `${key}=${value}`,
  ]);
  const launch = ['launch', '--alias', 'phantom@team', ...settings, ...why];

  test('launches a job for each fold, or for those named, and shows a dry run', async () => {
    const [zero, one] = await frozenFolds();
    await counterweight('alias', 'set', 'phantom', 'team', `0=${zero}`, `1=${one}`, ...why);
    const both = await counterweight(...launch);
    expect(both.said).toMatch(/^fold 0: job \w+ is \w+\nfold 1: job \w+ is \w+\n$/);
    const { out } = await counterweight(...launch, '--folds', '1', '--json');
    const { batch, items } = JSON.parse(out);
    expect(items).toMatchObject([{ batch, snapshot: { digest: one }, alias: { name: 'team' } }]);
    const dry = await counterweight(...launch, '--dry-run', '--json');
    expect(JSON.parse(dry.out).items.map(({ fold }: any) => fold)).toEqual([0, 1]);
    const missing = await counterweight(...launch, '--folds', '1,4');
    expect([missing.code, missing.said]).toEqual([3, expect.stringContaining('no fold 4')]);
  });

  test('with --watch stays until every job has ended, and exits by the worst end', async () => {
    const [zero, one] = await frozenFolds();
    await counterweight('alias', 'set', 'phantom', 'team', `0=${zero}`, `1=${one}`, ...why);
    const known = new Set(api.launcher.launches.keys());
    const watched = counterweight(...launch, '--watch', '--timeout', '2', '--json');
    const { code, out } = await watched;
    const keys = [...api.launcher.launches.keys()].filter((key) => !known.has(key));
    const { items } = JSON.parse(out);
    expect([code, keys]).toEqual([5, items.map(({ id }: any) => api.keyOf(id))]);
  });

  test.each([
    [['succeeded', 'succeeded'], 0.5, undefined],
    [['succeeded', 'succeeded'], 0.9, 4],
    [['succeeded', 'running'], 0.9, 5],
    [['running', 'failed'], 0.5, 1],
  ])('of jobs that are %j the worst end counts (gate at %d)', async (states, least, code) => {
    const codes: number[] = [];
    let now = 0;
    const sleep = async (milliseconds: number) => {
      now += milliseconds;
    };
    const io: Io = { ...systemIo, say: () => {}, terminal: false, now: () => now, sleep };
    const summary = { dice: { mean: 0.8 } };
    const verifiedDraws = { verified: 0, partial: 0, mismatch: 0 };
    const job = {
      reason: null,
      settings: jobSettings,
      progress: null,
      verifiedDraws,
      monitors: {},
      attempts: [],
      snapshots: [],
      summary,
    };
    const client = typedClient(async (_, path) =>
      Response.json(
        path.includes('/metrics')
          ? { items: [] }
          : { ...job, id: path, state: states[Number(path.at(-1))] },
      ),
    );
    await watchJobs(
      { ...io, exitWith: (one) => codes.push(one) },
      client as Client,
      states.map((_, place) => ({ id: String(place), name: `fold ${place}` })),
      { timeout: 1, gate: [{ figure: 'dice.mean', least }] },
    );
    expect(codes).toEqual(code === undefined ? [] : [code]);
  });

  test.each([
    [[], 'either --snapshot or --alias'],
    [['--snapshot', 'x', '--alias', 'a@b'], 'either --snapshot or --alias'],
    [['--snapshot', 'x', '--folds', '0'], '--folds goes with --alias'],
    [['--alias', 'best'], 'an alias is given as DATASET@ALIAS'],
  ])('launch %j is a fault of the command line', async (args, words) => {
    const refused = await counterweight('launch', ...args, ...why);
    expect([refused.code, refused.said]).toEqual([2, expect.stringContaining(words)]);
  });
});
