// Files checked without a service: sound ones hold, and an altered one says what was altered.

import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { run } from '../../../trainer/cli.ts';
import { systemIo } from '../../../trainer/commands/io.ts';
import { openTestApp } from '../../support/app.ts';
import { frozenSnapshot } from '../../support/builders.ts';

const folder = mkdtempSync(join(tmpdir(), 'counterweight-verify-'));

async function verify(...args: string[]) {
  const out: string[] = [];
  const said: string[] = [];
  const io = {
    ...systemIo,
    out: (line: string) => out.push(line),
    say: (line: string) => said.push(line),
  };
  const code = await run(['verify', ...args], io as typeof systemIo);
  return { code, out: out.join('\n'), said: said.join('\n') };
}

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const api = await openTestApp();
const { snapshot } = await frozenSnapshot(api);
const streamed = await api.send('GET', `/v1/snapshots/${snapshot.digest}/cases`, undefined, {
  accept: 'application/json',
});
const exported = await streamed.text();

/** A document in the form of an export: a case a line. */
function asExported({ cases, ...facts }: { cases: object[] }): string {
  const lines = cases.map((one) => JSON.stringify(one)).join(',\n');
  return `${JSON.stringify(facts).slice(0, -1)},"cases":[${lines}]}\n`;
}

describe('a snapshot', () => {
  test('holds as the service exports it', async () => {
    const { code, out } = await verify('snapshot', file('sound.json', exported));
    expect([code, out]).toEqual([0, expect.stringContaining(`${snapshot.digest} holds`)]);
  });

  test.each([
    ['a loss factor', (d: any) => (d.cases[0].lossFactor += 1e-12), 'the digest of the cases'],
    ['the units of one case', (d: any) => (d.cases[0].drawUnits = '1'), 'drawUnits sum to'],
    ['the cap in the header', (d: any) => (d.header.cap = 6), 'the digest of the cases'],
    ['the order of two cases', (d: any) => d.cases.reverse(), 'not in id order'],
    ['a case, left out', (d: any) => d.cases.pop(), 'the file has'],
    ['a score', (d: any) => (d.cases[0].score += 1e-12), 'the digest of the scores'],
  ])('does not hold when someone changed %s', async (what, change, says) => {
    const document = JSON.parse(exported);
    change(document);
    const { code, said } = await verify('snapshot', file('altered.json', asExported(document)));
    expect([what, code]).toEqual([what, 1]);
    expect(said).toContain(says);
  });
});

describe('draws', () => {
  const asked = ['--seed', '5', '--epoch', '2', '--draws', '20'];
  test('are the ones that the service replays', async () => {
    const path = `/v1/snapshots/${snapshot.digest}/draws?seed=5&epoch=2&draws=20`;
    const response = await api.send('GET', path);
    const ledger = response.headers.get('counterweight-ledger-digest') as string;
    const ids = (await response.text())
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    const { code, out } = await verify(
      'draws',
      file('d.json', exported),
      ...asked,
      '--ledger',
      ledger,
    );
    expect([code, out]).toEqual([0, [ledger, ...ids].join('\n')]);
  });

  test('that a trainer made up are found', async () => {
    const ledger = `sha256:${'0'.repeat(64)}`;
    const { code, said } = await verify(
      'draws',
      file('d.json', exported),
      ...asked,
      '--ledger',
      ledger,
    );
    expect([code, said]).toEqual([1, expect.stringContaining('the trainer reported sha256:000')]);
  });
});

describe('an audit export', async () => {
  const text = await (await api.send('GET', '/v1/audit/export')).text();
  const lines = text.trimEnd().split('\n');
  test('holds as the service exports it, up to the head that it names', async () => {
    const head = (await api.call('GET', '/v1/audit/head')).body;
    const { code, out } = await verify('audit', file('audit.ndjson', text));
    expect([code, out]).toEqual([
      0,
      `${head.sequence} entries follow from each other; head ${head.hash}`,
    ]);
  });

  test.each([
    [
      'altered',
      [lines[0], lines[1].replace('admin', 'nobody'), ...lines.slice(2)],
      'entry 2 was altered',
    ],
    ['removed', [lines[0], ...lines.slice(2)], 'entry 2 is missing'],
    ['moved', [lines[1], lines[0], ...lines.slice(2)], 'entry 1 is missing'],
  ])('does not hold when an entry was %s', async (_, changed, says) => {
    const { code, said } = await verify('audit', file('changed.ndjson', changed.join('\n')));
    expect([code, said]).toEqual([1, expect.stringContaining(says)]);
  });
});
