// What else verify takes: streamed lines with their header, a whole job's ledger, damaged files, a
// chain that was cut. The numbers come from the real app; only jobs are made up.

import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { LedgerEpoch } from '../../../api/contract/jobs.ts';
import { run } from '../../../trainer/cli.ts';
import { readSnapshotFile, replay } from '../../../trainer/commands/exports.ts';
import { type Io, systemIo } from '../../../trainer/commands/io.ts';
import { openTestApp } from '../../support/app.ts';
import { frozenSnapshot } from '../../support/builders.ts';

const folder = mkdtempSync(join(tmpdir(), 'counterweight-exports-'));

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const api = await openTestApp();
const { snapshot } = await frozenSnapshot(api);
const stream = async (accept: string) =>
  await (
    await api.send('GET', `/v1/snapshots/${snapshot.digest}/cases`, undefined, { accept })
  ).text();
const lines = file('cases.ndjson', await stream('application/x-ndjson'));
const exported = file('snapshot.json', await stream('application/json'));
const header = file('header.json', JSON.stringify(snapshot));

/** Runs verify with the app behind it, and a job that reported this ledger. */
async function verify(
  args: string[],
  ledger: LedgerEpoch[] = [],
  alter: (document: any) => void = () => {},
) {
  const out: string[] = [];
  const said: string[] = [];
  const asked: string[] = [];
  const job = { id: 'j', seed: 5, settings: { epochs: 2, drawsPerEpoch: 20, batchSize: 2 } };
  const io: Io = {
    ...systemIo,
    env: { CW_API: 'http://app', CW_TOKEN: api.token },
    out: (line) => out.push(line),
    say: (line) => said.push(line),
    fetch: (async (url: string, init: RequestInit) => {
      const path = url.replace('http://app', '');
      asked.push(path);
      if (path === '/v1/jobs/j') return Response.json(job);
      if (path === '/v1/jobs/j/ledger') return Response.json({ items: ledger });
      const document = await (await api.app.request(path, init)).json();
      alter(document);
      return Response.json(document);
    }) as typeof fetch,
  };
  const code = await run(['verify', ...args], io);
  return { code, out: out.join('\n'), said: said.join('\n'), asked };
}

function epoch(number: number, changes: Partial<LedgerEpoch> = {}): LedgerEpoch {
  const planned = replay(readSnapshotFile(exported), { seed: 5, epoch: number, draws: 20 });
  return {
    epoch: number,
    snapshot: snapshot.digest,
    state: 'verified',
    draws: 20,
    drawsPerEpoch: 20,
    repeated: 0,
    digest: planned.ledger,
    ...changes,
  };
}

describe('streamed lines', () => {
  test('hold with the header beside them, for snapshot and draws', async () => {
    const { code, out } = await verify(['snapshot', lines, '--header', header]);
    expect([code, out]).toEqual([0, expect.stringContaining(`${snapshot.digest} holds`)]);
    const asked = ['--seed', '5', '--epoch', '0', '--draws', '20'];
    const draws = await verify(['draws', lines, '--header', header, ...asked]);
    expect(draws.out.split('\n')[0]).toBe(epoch(0).digest);
  });

  test('without it are no exported snapshot, and the message says what to give', async () => {
    const { code, said } = await verify(['snapshot', lines]);
    expect(code).toBe(2);
    expect(said).toContain(lines);
  });

  test.each([
    ['{}', 'digest'],
    ['[]', 'document'],
    ['{"digest": "sha256:1"}', 'digest'],
  ])('%s is no exported snapshot', async (text, where) => {
    const { code, said } = await verify(['snapshot', file('other.json', text)]);
    expect(code).toBe(2);
    expect(said).toMatch(new RegExp(`no exported snapshot \\(${where}.*--export FILE.*--header`));
  });
});

describe("a job's ledger", () => {
  test('holds when every epoch is the planned one; the snapshot is fetched once', async () => {
    const { code, out, asked } = await verify(['draws', '--job', 'j'], [epoch(0), epoch(1)]);
    expect([code, out]).toEqual([0, 'job j: 2 epochs replayed here are the reported ones']);
    expect(asked.filter((path) => path.endsWith('/cases'))).toHaveLength(1);
  });

  test('is checked with a snapshot from a file, and then none is fetched', async () => {
    const args = ['draws', exported, '--job', 'j', '--json'];
    const { code, out, asked } = await verify(args, [epoch(0), epoch(1)]);
    expect(JSON.parse(out)).toEqual({ ok: true, fault: null, replayed: 2, inParts: 0 });
    expect([code, asked]).toEqual([0, ['/v1/jobs/j', '/v1/jobs/j/ledger']]);
  });

  const made = `sha256:${'0'.repeat(64)}`;
  test.each<[string, LedgerEpoch[], string]>([
    [
      'the service calls an epoch verified that is not',
      [epoch(0), epoch(1, { digest: made })],
      made,
    ],
    [
      'epochs changed places',
      [epoch(0, { digest: epoch(1).digest }), epoch(1)],
      'epoch 0: the plan',
    ],
    ['an epoch was not reported', [epoch(0)], 'epoch 1 was not reported'],
    [
      'an epoch is partial',
      [epoch(0), epoch(1, { state: 'partial', draws: 8, digest: null })],
      'epoch 1: 8 of 20 draws were reported',
    ],
    [
      'an epoch does not match',
      [epoch(0, { state: 'mismatch', digest: null }), epoch(1)],
      'epoch 0: the draws are not the planned ones',
    ],
  ])('does not hold when %s', async (what, ledger, says) => {
    const { code, said } = await verify(['draws', '--job', 'j'], ledger);
    expect([what, code]).toEqual([what, 1]);
    expect(said).toContain(says);
  });

  test.each<[string, (document: any) => void, string]>([
    ['cases were altered', (it) => (it.cases[0].lossFactor += 1e-9), 'does not hold: the digest'],
    ['it is another one', (it) => (it.digest = made), 'does not hold: it is another one'],
    ['it is nothing of the kind', (it) => delete it.cases, 'does not hold: cases'],
  ])('is not compared with a streamed snapshot when %s', async (what, alter, says) => {
    const { code, said } = await verify(['draws', '--job', 'j'], [epoch(0), epoch(1)], alter);
    expect([what, code]).toEqual([what, 1]);
    expect(said).toContain(says);
  });

  test('that came in parts is said to be so', async () => {
    const ledger = [epoch(0), epoch(1, { digest: null, repeated: 4 })];
    const { code, out } = await verify(['draws', '--job', 'j'], ledger);
    expect([code, out]).toEqual([0, expect.stringContaining('1 were reported in parts')]);
  });

  test('needs a job, or a file with seed, epoch and draws', async () => {
    for (const args of [['draws'], ['draws', exported], ['draws', exported, '--seed', '1']]) {
      const { code, said } = await verify(args);
      expect([code, said]).toEqual([2, expect.stringContaining('--job ID')]);
    }
  });
});

describe('an audit export', async () => {
  const text = await (await api.send('GET', '/v1/audit/export')).text();
  const { hash } = (await api.call('GET', '/v1/audit/head')).body;

  test('that was cut at its end is found by the head noted elsewhere', async () => {
    const whole = file('whole.ndjson', text);
    expect((await verify(['audit', whole, '--head', hash])).code).toBe(0);
    const cut = file('cut.ndjson', text.trimEnd().split('\n').slice(0, -1).join('\n'));
    expect((await verify(['audit', cut])).code).toBe(0);
    const { code, said } = await verify(['audit', cut, '--head', hash]);
    expect([code, said]).toEqual([1, expect.stringContaining(`not ${hash}`)]);
  });

  test.each([
    ['', 'the file holds no entries'],
    ['no json\n', 'line 1 is no line of an audit export'],
    ['{"sequence":1,"text":"x"}\n', 'line 1 is no line of an audit export'],
    ['null\n', 'line 1 is no line of an audit export'],
  ])('is not %j', async (content, says) => {
    const { code, said } = await verify(['audit', file('odd.ndjson', content)]);
    expect([code, said]).toEqual([1, expect.stringContaining(says)]);
  });

  test('that is not there is a usage failure that names it', async () => {
    const missing = join(folder, 'nothing.ndjson');
    const { code, said } = await verify(['audit', missing]);
    expect([code, said]).toEqual([2, expect.stringContaining(`${missing} cannot be read`)]);
  });
});
