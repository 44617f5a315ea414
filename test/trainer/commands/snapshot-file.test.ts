// Exported snapshots to the byte: in every form what the service wrote holds, and a file that
// differs from it in one byte, anywhere, does not.

import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { verifySnapshotFile } from '../../../trainer/commands/snapshot-file.ts';
import { openTestApp } from '../../support/app.ts';
import { attributes, caseLines, foldsOf, must, ndjsonOf, rules } from '../../support/builders.ts';

const folder = mkdtempSync(join(tmpdir(), 'counterweight-snapshot-file-'));
const header = join(folder, 'header.json');
const exported = new Map<string, Buffer>();
let digest: string;

const forms = {
  json: 'application/json',
  ndjson: 'application/x-ndjson',
  csv: 'text/csv',
  tsv: 'text/tab-separated-values',
};
const endings = Object.keys(forms) as (keyof typeof forms)[];

beforeAll(async () => {
  const api = await openTestApp();
  // Ids that every form has to write in its own way.
  const odd = ['a "quoted", one', 'ünïcode', 'back\\slash', '\u2028line', '=1+1'];
  const lines = caseLines(40).map((line, k) => ({ ...line, id: odd[k] ?? line.id }));
  const path = '/v1/datasets/odd';
  await must(api, 201, 'POST', '/v1/datasets', { name: 'odd', attributes });
  await must(api, 201, 'POST', `${path}/versions`, { reason: 'r' });
  await must(api, 200, 'POST', `${path}/versions/1/cases`, ndjsonOf(lines));
  const folds = foldsOf(lines.map(({ id }) => id));
  await must(api, 200, 'PUT', `${path}/versions/1/splits/s`, folds);
  await must(api, 200, 'POST', `${path}/versions/1/commit`, { reason: 'r' });
  await must(api, 201, 'POST', `${path}/rule-sets`, { name: 'r', rules, reason: 'r' });
  const body = { version: 1, split: 's', fold: 0, ruleSet: 'r@1', reason: 'r' };
  digest = (await must(api, 201, 'POST', `${path}/snapshots`, body)).digest;
  const facts = await must(api, 200, 'GET', `/v1/snapshots/${digest}`);
  writeFileSync(header, JSON.stringify(facts));
  for (const ending of endings) {
    const accept = { accept: forms[ending] };
    const answer = await api.send('GET', `/v1/snapshots/${digest}/cases`, undefined, accept);
    exported.set(ending, Buffer.from(await answer.arrayBuffer()));
  }
});

/** The verdict on these bytes; a file that cannot be read at all is a finding, too. */
async function verdictOn(bytes: Uint8Array, ending: string): Promise<string | null> {
  const file = join(folder, `case.${ending}`);
  writeFileSync(file, bytes);
  try {
    const given = ending.startsWith('json') ? undefined : header;
    return (await verifySnapshotFile(file, given)).fault;
  } catch (error) {
    return (error as Error).message;
  }
}

describe.each(endings)('%s', (ending) => {
  const bytesOf = () => exported.get(ending) as Buffer;

  test('as the service wrote it holds, zipped or not', async () => {
    expect(await verdictOn(bytesOf(), ending)).toBeNull();
    expect(await verdictOn(gzipSync(bytesOf()), `${ending}.gz`)).toBeNull();
    const given = ending === 'json' ? undefined : header;
    const verdict = await verifySnapshotFile(join(folder, `case.${ending}`), given);
    expect(verdict).toMatchObject({ digest, scoresChecked: ending !== 'tsv' });
  });

  test('another byte in its place is found, wherever it stands', async () => {
    await fc.assert(
      fc.asyncProperty(fc.double({ min: 0, max: 1, noNaN: true }), fc.nat(254), async (at, by) => {
        const bytes = Buffer.from(bytesOf());
        const place = Math.min(bytes.length - 1, Math.floor(at * bytes.length));
        bytes[place] = (bytes[place] + 1 + by) % 256;
        expect(await verdictOn(bytes, ending)).not.toBeNull();
      }),
      { numRuns: 300, seed: 20260301 },
    );
  });

  test('a byte that is missing, doubled or added is found', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.nat(255),
        async (at, byte) => {
          const bytes = bytesOf();
          const place = Math.min(bytes.length - 1, Math.floor(at * bytes.length));
          const [before, after] = [bytes.subarray(0, place), bytes.subarray(place)];
          for (const altered of [
            Buffer.concat([before, after.subarray(1)]),
            Buffer.concat([before, after.subarray(0, 1), after]),
            Buffer.concat([before, Buffer.from([byte]), after]),
          ]) {
            expect(await verdictOn(altered, ending)).not.toBeNull();
          }
        },
      ),
      { numRuns: 100, seed: 20260301 },
    );
  });

  test('a line that is missing, doubled, moved or added at the end is found', async () => {
    const lines = bytesOf()
      .toString('utf8')
      .split(/(?<=\n)/);
    const last = lines.length - 2;
    const alterations = [
      lines.toSpliced(3, 1),
      lines.toSpliced(3, 0, lines[3]),
      lines.with(3, lines[4]).with(4, lines[3]),
      [...lines, lines[last]],
      [...lines, '\n'],
      lines.slice(0, last),
      [],
    ];
    for (const altered of alterations) {
      expect(await verdictOn(Buffer.from(altered.join('')), ending)).not.toBeNull();
    }
  });
});

test('the fault names the line, and the case that is out of order', async () => {
  const lines = (exported.get('ndjson') as Buffer).toString('utf8').split(/(?<=\n)/);
  const spaced = lines.with(6, lines[6].replace(':', ': ')).join('');
  expect(await verdictOn(Buffer.from(spaced), 'ndjson')).toContain('line 7 is not as');
  const moved = lines.with(3, lines[4]).with(4, lines[3]).join('');
  expect(await verdictOn(Buffer.from(moved), 'ndjson')).toContain('is not in id order');
  const cut = lines.slice(0, 10).join('');
  expect(await verdictOn(Buffer.from(cut), 'ndjson')).toContain('the file has 10');
});

test('a file that is no snapshot says how to make one', async () => {
  expect(await verdictOn(Buffer.from('{"a": 1}\n'), 'json')).toContain('--export FILE');
  await expect(verifySnapshotFile(join(folder, 'none.json'))).rejects.toThrow('cannot be read');
});
