// Bodies read in pieces: lines whatever the pieces, caps on what is unzipped, and answers that are
// made only as they are read.

import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { Hono } from 'hono';
import { describe, expect, test } from 'vitest';
import { uploadLimits } from '../../api/contract/cases.ts';
import {
  bodyChunks,
  bodyText,
  ndjson,
  numberedLines,
  streamed,
  textStream,
} from '../../api/http/streams.ts';
import { storableBody } from '../../api/http/texts.ts';

type Bytes = Uint8Array<ArrayBuffer>;
const bytesOf = (text: string): Bytes => new TextEncoder().encode(text);

async function* pieces(bytes: Bytes, size: number): AsyncGenerator<Bytes> {
  for (let from = 0; from < bytes.length; from += size) yield bytes.subarray(from, from + size);
}

async function collected<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const all: Item[] = [];
  for await (const item of items) all.push(item);
  return all;
}

const post = (body: Bytes) => new Request('http://test/', { method: 'POST', body });
const linesOf = (body: Bytes, maxBytes = 1e6) =>
  collected(numberedLines(bodyChunks(post(body), maxBytes)));

describe('lines', () => {
  test('are the same however the body is cut into pieces', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.string({ unit: 'grapheme', maxLength: 12 })),
        fc.integer({ min: 1, max: 7 }),
        async (texts, size) => {
          const text = texts.join('\n').replace('\uFEFF', '');
          const expected = text
            .split('\n')
            .map((each, k) => ({ line: k + 1, text: each }))
            .filter((each) => each.text.trim() !== '');
          expect(await collected(numberedLines(pieces(bytesOf(text), size)))).toEqual(expected);
        },
      ),
    );
  });

  test('keep their numbers over blank ones, and the last needs no end', async () => {
    expect(await linesOf(bytesOf('a\n\n  \nb'))).toEqual([
      { line: 1, text: 'a' },
      { line: 4, text: 'b' },
    ]);
  });

  test.each([4096, 65_537, 1e9])(
    'over the limit are refused by number, in pieces of %d bytes',
    async (size) => {
      const long = bytesOf(`a\n${'b'.repeat(uploadLimits.lineBytes + 1)}\nc\n`);
      const read = collected(numberedLines(pieces(long, size))).then((lines) => lines.length);
      await expect(read).rejects.toMatchObject({
        kind: 'too-large',
        message: expect.stringContaining('Line 2 '),
      });
    },
  );

  test('that are no UTF-8 are refused, also where the body ends within a character', async () => {
    for (const bytes of [new Uint8Array([97, 10, 0xff, 10]), bytesOf('a\nä').subarray(0, 3)]) {
      await expect(linesOf(bytes)).rejects.toMatchObject({
        kind: 'unprocessable',
        message: expect.stringContaining('not valid UTF-8'),
      });
    }
  });
});

describe('a body', () => {
  test('is unzipped by its first bytes, without a header', async () => {
    const zipped = new Uint8Array(gzipSync('a\nb\n'));
    expect(await linesOf(zipped)).toEqual(await linesOf(bytesOf('a\nb\n')));
  });

  test('that is small zipped and large unzipped is refused by its unzipped size', async () => {
    const bomb = new Uint8Array(gzipSync('a\n'.repeat(500_000)));
    expect(bomb.length).toBeLessThan(2000);
    await expect(linesOf(bomb, 10_000)).rejects.toMatchObject({ kind: 'too-large' });
  });

  test.each([
    ['cut short', (zipped: Bytes) => zipped.subarray(0, zipped.length - 12)],
    ['altered', (zipped: Bytes) => zipped.with(zipped.length - 6, 1) as Bytes],
  ])('zipped and %s is refused as damaged', async (_, damage) => {
    const zipped = new Uint8Array(gzipSync(Array.from({ length: 99 }, (_, k) => k).join('\n')));
    await expect(linesOf(damage(zipped))).rejects.toMatchObject({
      kind: 'unprocessable',
      message: expect.stringContaining('gzip'),
    });
  });

  test('that is not there is refused', () => {
    const request = new Request('http://test/', { method: 'POST' });
    expect(() => bodyChunks(request, 10)).toThrow('The body is empty');
  });
});

describe('a whole text', () => {
  const app = new Hono();
  app.use(storableBody as never);
  app.put('/', async (c) => {
    try {
      return c.text(await bodyText(c, 1000));
    } catch (error) {
      return c.text((error as Error).message, 422);
    }
  });
  const put = async (body: Bytes, type: string) => {
    const response = await app.request('/', {
      method: 'PUT',
      body,
      headers: { 'content-type': type },
    });
    return await response.text();
  };

  test.each(['application/json', 'application/octet-stream'])(
    'is read plain or zipped, as %s',
    async (type) => {
      const text = '{"é": NaN}';
      expect(await put(bytesOf(text), type)).toBe(text);
      expect(await put(new Uint8Array(gzipSync(text)), type)).toBe(text);
      expect(await put(new Uint8Array(gzipSync('x'.repeat(1001))), type)).toContain('over 1000');
      expect(await put(new Uint8Array([0x22, 0xff, 0x22]), type)).toContain('not valid UTF-8');
    },
  );
});

describe('an answer', () => {
  test('has every line, and is made only as far as it is read', async () => {
    let made = 0;
    async function* texts() {
      for (; made < 1000; made++) yield `${'x'.repeat(1023)}\n`;
    }
    const reader = textStream(texts()).getReader();
    const { value } = await reader.read();
    expect(value?.length).toBe(65_536);
    expect(made).toBeLessThan(200);
    await reader.cancel();
    await expect(reader.closed).resolves.toBeUndefined();
  });

  test('that fails before its first line has no status yet: the error is thrown', async () => {
    // biome-ignore lint/correctness/useYield: fails before its first item
    async function* failing(): AsyncGenerator<string> {
      throw new Error('no such snapshot');
    }
    await expect(streamed(failing(), 'text/csv')).rejects.toThrow('no such snapshot');
  });

  test('of nothing is empty', async () => {
    async function* nothing() {}
    const response = await ndjson(nothing(), { etag: '"x"' });
    expect(Object.fromEntries(response.headers)).toEqual({
      'content-type': 'application/x-ndjson',
      etag: '"x"',
    });
    expect(await response.text()).toBe('');
  });

  test('is one JSON document a line', async () => {
    async function* items() {
      yield { id: 'a\nb' };
      yield { id: 'c' };
    }
    expect(await (await ndjson(items())).text()).toBe('{"id":"a\\nb"}\n{"id":"c"}\n');
  });
});
