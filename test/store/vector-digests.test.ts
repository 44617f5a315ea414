// The digests that a frozen snapshot leaves: known bytes, and that the stored chunks have them.

import { createHash } from 'node:crypto';
import { sql } from 'drizzle-orm';
import { expect, test } from 'vitest';
import { rows } from '../../api/store/database.ts';
import { digestOfChunks, vectorsDigest } from '../../api/store/vector-digests.ts';
import { openTestApp } from '../support/app.ts';
import { frozenSnapshot, must } from '../support/builders.ts';

const sha256 = (data: Buffer | string) =>
  `sha256:${createHash('sha256').update(data).digest('hex')}`;

type Numbers = { ordinals: number[]; floats: number[][] };

/** The layout of api/store/README.md, written a second time. */
function bytesOf({ ordinals, floats }: Numbers): Buffer {
  const count = Buffer.alloc(4);
  count.writeUInt32LE(ordinals.length);
  const whole = ordinals.map((value) => {
    const bytes = Buffer.alloc(4);
    bytes.writeInt32LE(value);
    return bytes;
  });
  const parts = floats.map((vector) => {
    const doubles = vector.map((value) => {
      const bytes = Buffer.alloc(8);
      bytes.writeDoubleLE(value);
      return bytes;
    });
    return Buffer.concat([count, ...doubles]);
  });
  return Buffer.concat([count, ...whole, ...parts]);
}

test('the digest of a chunk is over the bytes that the README says', async () => {
  const floats = [
    [2 ** 51, 2 ** 51 - 1],
    [1, 2 ** 52],
    [0.1, 5e-324],
    [0, 1e300],
  ];
  const [targetUnits, drawUnits, lossFactors, scores] = floats.map((one) => Float64Array.from(one));
  const vectors = { ordinals: Int32Array.of(7, -1), targetUnits, drawUnits, lossFactors, scores };
  expect(await vectorsDigest(vectors)).toBe(sha256(bytesOf({ ordinals: [7, -1], floats })));
});

test('elements that move from one vector to the next give another digest', async () => {
  const [a, b, none] = [Float64Array.of(1, 2), Float64Array.of(3), new Float64Array()];
  const [c, d] = [Float64Array.of(1), Float64Array.of(2, 3)];
  const rest = { ordinals: new Int32Array(), lossFactors: none, scores: none };
  const one = await vectorsDigest({ ...rest, targetUnits: a, drawUnits: b });
  expect(await vectorsDigest({ ...rest, targetUnits: c, drawUnits: d })).not.toBe(one);
});

test('a frozen snapshot keeps the digest of every chunk, and its entry that of them all', async () => {
  const api = await openTestApp();
  const { snapshot } = await frozenSnapshot(api, { count: 13_000 });
  type Chunk = { digest: string } & Record<'o' | 't' | 'd' | 'l' | 's', string>;
  const chunks = await rows<Chunk>(
    api.database.orm,
    sql`select digest, ordinals::text o, target_units::text t, draw_units::text d,
      loss_factors::text l, scores::text s from snapshot_chunks order by chunk`,
  );
  expect(chunks).toHaveLength(2);
  const numbers = (text: string) => text.slice(1, -1).split(',').map(Number);
  for (const { digest, o, t, d, l, s } of chunks) {
    const bytes = bytesOf({ ordinals: numbers(o), floats: [t, d, l, s].map(numbers) });
    expect(digest).toBe(sha256(bytes));
  }
  const vectors = sha256(chunks.map(({ digest }) => `${digest}\n`).join(''));
  expect(await digestOfChunks(chunks.map(({ digest }) => digest))).toBe(vectors);
  const { items } = await must(api, 200, 'GET', '/v1/audit?action=snapshot.frozen');
  expect(items).toHaveLength(1);
  expect(items[0].detail).toMatchObject({ digest: snapshot.digest, vectors, id: snapshot.id });
  await api.database.close();
});
