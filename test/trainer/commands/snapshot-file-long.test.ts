// Exported snapshots of several blocks, and those that were zipped: what differs in one byte is
// found wherever it stands, or the zip still holds every byte of the snapshot.

import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  chunkText,
  type LineForm,
  lineForms,
  type SnapshotFormat,
} from '../../../api/contract/snapshot-lines.ts';
import { scoresDigest, snapshotDigest } from '../../../api/weights/digest.ts';
import { probabilityUnits } from '../../../api/weights/units.ts';
import { verifySnapshotFile } from '../../../trainer/commands/snapshot-file.ts';

const folder = mkdtempSync(join(tmpdir(), 'counterweight-snapshot-file-long-'));
const file = (name: string, content: string | Uint8Array) => {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
};

const other = `sha256:${'7'.repeat(64)}`;

/** A made snapshot of so many cases: what the service would answer and write. */
function madeSnapshot(caseCount: number) {
  const scores = Float64Array.from({ length: caseCount }, (_, k) => 1 + (k % 97) / 13);
  const total = scores.reduce((sum, score) => sum + score, 0);
  const drawUnits = probabilityUnits(scores.map((score) => score / total));
  const targetUnits = probabilityUnits(new Float64Array(caseCount).fill(1 / caseCount));
  const columns = {
    ids: Array.from(scores, (_, k) => `case ${String(k).padStart(6, '0')}`),
    targetUnits,
    drawUnits,
    lossFactors: targetUnits.map((units, k) => units / drawUnits[k]),
    scores,
  };
  const header = {
    ...{ format: 1 as const, dataset: 'long', datasetVersionDigest: other, split: 's', fold: 0 },
    ...{ ruleSetDigest: other, floor: 0.2, cap: 5, temper: 1, strength: 1, caseCount },
    ...{ parentDigest: null, evidenceDigest: null, cause: 'rules' as const },
  };
  const digest = snapshotDigest({ header, ...columns });
  const facts = { digest, scoresDigest: scoresDigest(scores), header };
  const bytesAs = (format: SnapshotFormat) => {
    const form: LineForm = lineForms[format];
    const document = format === 'application/json';
    const before = document ? `${JSON.stringify(facts).slice(0, -1)},"cases":[` : form.before;
    return Buffer.from(before + chunkText(form, columns) + form.after);
  };
  return { facts, bytesAs };
}

// Two blocks and a bit: the first of CSV ends a case earlier than the first of NDJSON.
const long = madeSnapshot(2 * 8_192 + 5);
const short = madeSnapshot(3);
const header = file('header.json', JSON.stringify(long.facts));

async function faultOf(bytes: Uint8Array, ending: string): Promise<string | null> {
  const beside = ending.startsWith('json') ? undefined : header;
  try {
    return (await verifySnapshotFile(file(`altered.${ending}`, bytes), beside)).fault;
  } catch (error) {
    return (error as Error).message;
  }
}

const part = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true });

describe.each([
  ['json', 'application/json'],
  ['ndjson', 'application/x-ndjson'],
  ['csv', 'text/csv'],
  ['tsv', 'text/tab-separated-values'],
] as const)('%s of several blocks', (ending, format) => {
  const sound = long.bytesAs(format);

  test('holds, and not with another byte, one less or one more', async () => {
    expect(await faultOf(sound, ending)).toBeNull();
    await fc.assert(
      fc.asyncProperty(part, fc.integer({ min: 1, max: 255 }), async (at, by) => {
        const place = Math.floor(at * sound.length);
        const [before, after] = [sound.subarray(0, place), sound.subarray(place + 1)];
        const byte = Buffer.from([(sound[place] + by) % 256]);
        for (const middle of [byte, Buffer.alloc(0), Buffer.from([sound[place], byte[0]])]) {
          const altered = Buffer.concat([before, middle, after]);
          expect(await faultOf(altered, ending)).not.toBeNull();
        }
      }),
      { numRuns: 12, seed: 20261123 },
    );
  });

  test('does not hold with a case moved across blocks, or with anything after its end', async () => {
    const lines = sound.toString().split(/(?<=\n)/);
    const moved = lines.with(8_190, lines[8_194]).with(8_194, lines[8_190]).join('');
    expect(await faultOf(Buffer.from(moved), ending)).toContain('is not in id order');
    for (const more of ['\n', ' ', '{}\n', lines[5], sound.toString()]) {
      expect(await faultOf(Buffer.from(sound + more), ending)).not.toBeNull();
    }
  });
});

describe('a short document', () => {
  const sound = short.bytesAs('application/json');

  test('does not hold with any byte of it replaced, also those of its keys', async () => {
    expect(await faultOf(sound, 'json')).toBeNull();
    for (let place = 0; place < sound.length; place++) {
      for (const byte of [sound[place] ^ 1, 0x20, 0x39]) {
        if (byte === sound[place]) continue;
        const altered = Buffer.from(sound);
        altered[place] = byte;
        expect({ place, byte, held: (await faultOf(altered, 'json')) === null }).toMatchObject({
          held: false,
        });
      }
    }
  });

  test('that was zipped does not hold with a byte replaced that is part of the document', async () => {
    const zipped = gzipSync(sound);
    let passedOver = 0;
    for (let place = 0; place < zipped.length; place++) {
      const altered = Buffer.from(zipped);
      altered[place] ^= 1 << (place % 8);
      if ((await faultOf(altered, 'json.gz')) !== null) continue;
      // The time and the system of a zip, say, are nothing of the document.
      expect(gunzipSync(altered)).toEqual(sound);
      passedOver++;
    }
    expect(passedOver).toBeLessThan(10);
  });

  test('that was zipped holds, and not cut short, followed by anything or twice', async () => {
    const zipped = gzipSync(sound);
    expect(await faultOf(zipped, 'json.gz')).toBeNull();
    expect(await faultOf(zipped.subarray(0, -1), 'json.gz')).toContain('unexpected end');
    expect(await faultOf(Buffer.concat([zipped, zipped]), 'json.gz')).not.toBeNull();
    for (const more of ['x', '\0', '\0'.repeat(40), 'more bytes', sound.toString()]) {
      const longer = Buffer.concat([zipped, Buffer.from(more)]);
      expect({ more, held: (await faultOf(longer, 'json.gz')) === null }).toEqual({
        more,
        held: false,
      });
    }
  });
});

test('a file without an end to its lines is refused before it fills the memory', async () => {
  const endless = Buffer.alloc(2 ** 25 + 2 ** 21, 0x61);
  expect(await faultOf(endless, 'ndjson')).toContain('longer than any of an export');
});
