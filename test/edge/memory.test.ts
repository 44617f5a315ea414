// Data sets of 300,000 cases through a Worker, which has 128 MB for all that it does at once. What
// is bounded is what its isolate still holds after a garbage collection, in the middle of the work:
// what it used in between is as much as V8 finds no reason to collect. `npm run test:edge`.

import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { uploadLimits } from '../../api/contract/cases.ts';
import { type Neon, startNeon } from '../stacks/stack.ts';
import { noPostgres } from '../support/postgres.ts';
import { startWorker, type TestWorker } from '../support/worker.ts';
import {
  attach,
  type Debugger,
  forgetMost,
  residentMiB,
  workerdProcess,
} from '../support/worker-memory.ts';

const adminToken = 'cw_admin_of_a_large_dataset';
const caseCount = 300_000;
/** A Worker has 128 MB, with whatever else is under way. While something is worked on ... */
const busyMiB = 96;
/** ... and where the client lets it wait. */
const waitingMiB = 40;

const idOf = (k: number) => `case_${String(k).padStart(7, '0')}`;
const line = (k: number) =>
  `${JSON.stringify({
    id: idOf(k),
    attributes: {
      site: k % 3 === 0 ? 'B' : 'A',
      labels: k % 10 === 0 ? ['organ', 'lesion'] : ['organ'],
    },
    files: [
      {
        path: `imagesTr/${idOf(k)}_0000.nii.gz`,
        sha256: createHash('sha256').update(idOf(k)).digest('hex'),
      },
    ],
  })}\n`;
const rules = {
  groups: ['site'],
  target: { terms: [] },
  sampling: {
    terms: [
      { name: 'rare', kind: 'rarity', by: ['labels'], method: 'inverse-frequency', power: 0.5 },
    ],
    floor: 0.2,
    cap: 5,
  },
  correction: { strength: 1 },
};

describe.skipIf(noPostgres())('a Worker', { timeout: 600_000 }, () => {
  let neon: Neon;
  let worker: TestWorker;
  let isolate: Debugger;
  let idleMiB: number;
  beforeAll(async () => {
    neon = await startNeon();
    worker = await startWorker(
      {
        DATABASE_URL: neon.postgres.urls.service,
        CW_NEON_PROXY: neon.bridge.proxy,
        CW_ADMIN_TOKEN: adminToken,
      },
      { inspectorPort: 0 },
    );
    expect(await worker.cron()).toBe('ok');
    const stir = async () => (await fetch(`${worker.url}/nothing`)).text();
    isolate = await attach(await worker.miniflare.getInspectorURL(), stir);
    const attributes = {
      site: { type: 'string', origin: 'entered' },
      labels: { type: 'labels', origin: 'measured' },
    };
    await must(201, 'POST', '/v1/datasets', { name: 'large', attributes });
    await must(201, 'POST', '/v1/datasets/large/versions', { reason: 'import' });
    idleMiB = await isolate.liveMiB();
  });
  afterAll(async () => {
    isolate?.close();
    await worker?.stop();
    await neon?.stop();
  });

  const headers = { authorization: `Bearer ${adminToken}`, 'content-type': 'application/json' };

  async function must(status: number, method: string, path: string, body?: unknown): Promise<any> {
    const text = body === undefined ? undefined : JSON.stringify(body);
    const response = await fetch(worker.url + path, { method, headers, body: text });
    const answer = (await response.json()) as object;
    expect([response.status, answer]).toEqual([status, answer]);
    return answer;
  }

  /** Says what was measured, and holds it against the bound. */
  function bounded(what: string, live: number[], mostMiB: number): void {
    const most = Math.max(...live);
    const { most: resident } = residentMiB(workerdProcess());
    console.info(
      `${what}: ${most.toFixed(1)} MiB held (${idleMiB.toFixed(1)} idle), workerd ${resident.toFixed(0)} MiB`,
    );
    expect(live.length).toBeGreaterThan(0);
    expect(most).toBeLessThan(mostMiB);
  }

  /** What is held from time to time while something is done. */
  async function whileDoing(work: Promise<unknown>): Promise<number[]> {
    const live: number[] = [];
    let done = false;
    const ended = work.finally(() => {
      done = true;
    });
    while (!done) live.push(await isolate.liveMiB());
    await ended;
    return live;
  }

  /** Sends lines, and looks before the last of them, when all that is kept is kept. */
  async function upload(
    { from, to, zipped }: { from: number; to: number; zipped: boolean },
    lineOf = line,
  ) {
    const path = `${worker.url}/v1/datasets/large/versions/1/cases`;
    const encoder = new TextEncoder();
    const live: number[] = [];
    let next = from;
    const lines = new ReadableStream<Uint8Array<ArrayBuffer>>({
      pull: async (controller) => {
        let text = '';
        while (text.length < 65_536 && next < to) text += lineOf(next++);
        if (next === to) live.push(await isolate.liveMiB());
        controller.enqueue(encoder.encode(text));
        if (next === to) controller.close();
      },
    });
    const body = zipped ? lines.pipeThrough(new CompressionStream('gzip')) : lines;
    const init = { method: 'POST', headers: { ...headers, 'content-type': '' }, body };
    const response = await fetch(path, { ...init, duplex: 'half' } as RequestInit);
    return { status: response.status, answer: (await response.json()) as any, live };
  }

  async function download(path: string, accept: string): Promise<{ text: number; live: number[] }> {
    const response = await fetch(worker.url + path, { headers: { ...headers, accept } });
    expect(response.status).toBe(200);
    const live: number[] = [];
    let bytes = 0;
    for await (const piece of response.body as unknown as AsyncIterable<Uint8Array>) {
      bytes += piece.byteLength;
      if (bytes > live.length * 8_000_000) live.push(await isolate.liveMiB());
    }
    return { text: bytes, live };
  }

  test.each([
    { from: 0, to: caseCount / 2, zipped: false },
    { from: caseCount / 2, to: caseCount, zipped: true },
  ])('takes half of the cases in one part (zipped: $zipped)', async (part) => {
    forgetMost(workerdProcess());
    const done = upload(part);
    const during = await whileDoing(done);
    const { status, answer, live } = await done;
    expect([status, answer.inserted]).toEqual([200, caseCount / 2]);
    bounded(`upload of ${caseCount / 2} cases, read`, live, waitingMiB);
    bounded(`upload of ${caseCount / 2} cases`, during, busyMiB);
  });

  test('holds no more of a part with as many lines as it may have, and refuses one line more', async () => {
    // The smallest lines, of which each counts most; not in Latin letters, which V8 keeps longer.
    const small = (k: number) => `{"id":"c${k}","attributes":{"site":"中","labels":[]}}\n`;
    const count = uploadLimits.partLines + 1;
    const { status, answer, live } = await upload({ from: 0, to: count, zipped: false }, small);
    expect([status, answer.detail]).toEqual([413, expect.stringContaining('at most 500000 lines')]);
    bounded(`upload of ${count} lines, read`, live, waitingMiB);
  });

  test('splits, commits and freezes them', async () => {
    const ids = Array.from({ length: caseCount }, (_, k) => idOf(k));
    const folds = [
      { train: ids.filter((_, k) => k % 5 > 0), val: ids.filter((_, k) => k % 5 === 0) },
    ];
    const version = '/v1/datasets/large/versions/1';
    const split = await whileDoing(must(200, 'PUT', `${version}/splits/one`, folds));
    bounded('split', split, busyMiB);
    const commit = must(200, 'POST', `${version}/commit`, { reason: 'whole' });
    bounded('commit', await whileDoing(commit), busyMiB);
    const named = { name: 'rare', rules, reason: 'lesions are rare' };
    await must(201, 'POST', '/v1/datasets/large/rule-sets', named);
    const asked = { version: 1, split: 'one', fold: 0, ruleSet: 'rare@1', reason: 'first' };
    const freeze = must(201, 'POST', '/v1/datasets/large/snapshots', asked);
    bounded('freeze', await whileDoing(freeze), busyMiB);
    expect((await freeze).header.caseCount).toBe((caseCount * 4) / 5);
  });

  test.each([
    ['/v1/datasets/large/versions/1/cases', 'application/x-ndjson'],
    ['SNAPSHOT', 'application/x-ndjson'],
    ['SNAPSHOT', 'text/csv'],
    ['SNAPSHOT', 'application/json'],
  ])('streams %s as %s', async (named, accept) => {
    const { items } = await must(200, 'GET', '/v1/datasets/large/snapshots');
    const path = named === 'SNAPSHOT' ? `/v1/snapshots/${items[0].digest}/cases` : named;
    forgetMost(workerdProcess());
    const { text, live } = await download(path, accept);
    expect(text).toBeGreaterThan(10_000_000);
    bounded(`${path.slice(0, 30)} as ${accept}, ${(text / 1e6).toFixed(0)} MB`, live, waitingMiB);
  });

  test('holds nothing of all that afterwards', async () => {
    expect(await isolate.liveMiB()).toBeLessThan(idleMiB + 4);
  });
});
