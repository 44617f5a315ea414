// A split read as a stream: the ids of the file as JSON.parse would find them, however the bytes
// are cut, and a sentence with a pointer for whatever is no split.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { SplitId } from '../../api/contract/splits.ts';
import { splitIds } from '../../api/http/split-stream.ts';

async function* cut(text: string, sizes: number[]): AsyncGenerator<Uint8Array> {
  const bytes = Buffer.from(text, 'utf8');
  for (let at = 0, k = 0; at < bytes.length; k++) {
    const size = sizes[k % sizes.length];
    yield bytes.subarray(at, at + size);
    at += size;
  }
}

async function read(text: string, sizes = [7]): Promise<{ ids: SplitId[]; folds: number }> {
  const stream = splitIds(cut(text, sizes));
  const ids: SplitId[] = [];
  let next = await stream.next();
  while (!next.done) {
    ids.push(...next.value);
    next = await stream.next();
  }
  return { ids, folds: next.value };
}

const side = fc.array(fc.string({ unit: 'binary', maxLength: 12 }), { maxLength: 4 });
const fold = fc.record({ train: side, val: side, extra: fc.jsonValue({ maxDepth: 1 }) });

test('has every id with its place, however the bytes are cut', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fold, { maxLength: 4 }),
      fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 5 }),
      fc.constantFrom(0, 1),
      async (folds, sizes, indent) => {
        const text = JSON.stringify(folds, null, indent);
        const expected = folds.flatMap((one, number) =>
          (['train', 'val'] as const).flatMap((name) =>
            one[name].map((id, place) => ({ fold: number, side: name, place, id })),
          ),
        );
        const byPlace = (ids: SplitId[]) => ids.map((one) => JSON.stringify(one)).toSorted();
        const found = await read(text, sizes);
        expect(found.folds).toBe(folds.length);
        expect(byPlace(found.ids)).toEqual(byPlace(expected));
      },
    ),
    { numRuns: 200, seed: 20260301 },
  );
});

test.each([
  ['{"train": ["a"], "val": ["b"]}', 'no list of folds', ''],
  ['"a"', 'no list of folds', ''],
  ['[5]', 'no object with train and val', '/0'],
  ['[{"train": ["a"], "val": ["b"]}, ["a"]]', 'no object with train and val', '/1'],
  ['[{"train": ["a"], "val": ["b"]}, null]', 'no object with train and val', '/1'],
  ['[{"train": ["a", 3], "val": ["b"]}]', 'no case id', '/0/train/1'],
  ['[{"train": ["a"], "val": [["b"]]}]', 'no case id', '/0/val/0'],
  ['[{"train": [null], "val": ["b"]}]', 'no case id', '/0/train/0'],
  ['[{"train": {"a": "b"}, "val": ["b"]}]', 'no case id', '/0/train/a'],
])('%s is no split, and it is said where', async (text, detail, pointer) => {
  await expect(read(text)).rejects.toMatchObject({
    kind: 'unprocessable',
    errors: [{ pointer, detail: expect.stringContaining(detail) }],
  });
});

test.each(['', '[', '[{"train": ["a"', '[{"train": ["a"],}]', '[{"train": [a]}]', '[] []', 'no'])(
  '%j is not JSON',
  async (text) => {
    await expect(read(text)).rejects.toMatchObject({
      kind: text === 'no' ? expect.any(String) : 'invalid-request',
    });
  },
);
