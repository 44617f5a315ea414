// Random chains, random alterations of their export: each is found and named by its sequence; and
// heads that were kept elsewhere, with their signatures.

import { createHash, generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import canonicalize from 'canonicalize';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { auditKeyOf, type Signature } from '../../../api/services/audit/signing.ts';
import { run } from '../../../trainer/cli.ts';
import { systemIo } from '../../../trainer/commands/io.ts';
import { openTestApp } from '../../support/app.ts';
import { frozenSnapshot, must } from '../../support/builders.ts';

const folder = mkdtempSync(join(tmpdir(), 'counterweight-verify-audit-'));

async function verify(...args: string[]) {
  const out: string[] = [];
  const io = { ...systemIo, out: (line: string) => out.push(line), say: () => {} };
  const code = await run(['verify', 'audit', ...args, '--json'], io as typeof systemIo);
  return { code, ...JSON.parse(out[0] ?? '{}') };
}

function file(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

type Line = { sequence: number; previousHash: string; hash: string; text: string };

/** A chain as the service writes it, entry by entry from reasons that may hold anything. */
function chainOf(reasons: string[]): Line[] {
  let previousHash = `sha256:${'0'.repeat(64)}`;
  return reasons.map((reason, k) => {
    const sequence = k + 1;
    const text = canonicalize({ actor: 'ann', reason, sequence, workspaceId: 'w' }) as string;
    const digest = createHash('sha256').update(`${previousHash}\n${text}`).digest('hex');
    const line = { sequence, previousHash, hash: `sha256:${digest}`, text };
    previousHash = line.hash;
    return line;
  });
}

const textOf = (lines: Line[]) => lines.map((line) => `${JSON.stringify(line)}\n`).join('');

const reasons = fc.array(fc.string({ unit: 'grapheme', maxLength: 12 }), {
  minLength: 2,
  maxLength: 8,
});
const chains = reasons.map(chainOf);
const near = (sequence: number) => [sequence - 1, sequence, sequence + 1];

/** Sequences that the verdict names, and that it is no success. */
async function named(content: string | Uint8Array, ...args: string[]): Promise<number[]> {
  const verdict = await verify(file('altered.ndjson', content), ...args);
  expect(verdict).toMatchObject({ code: 1, ok: false });
  return verdict.faults.map(({ sequence }: { sequence: number }) => sequence);
}

describe('an export', () => {
  test('that nobody touched holds', async () => {
    await fc.assert(
      fc.asyncProperty(chains, async (lines) => {
        const { hash } = lines[lines.length - 1];
        const verdict = await verify(file('whole.ndjson', textOf(lines)), '--head', hash);
        expect(verdict).toMatchObject({ code: 0, ok: true, count: lines.length, head: hash });
      }),
    );
  });

  test('is found out by any byte that is another, and the entry is named', async () => {
    await fc.assert(
      fc.asyncProperty(
        chains,
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        async (lines, at, by) => {
          const bytes = Buffer.from(textOf(lines));
          const place = at % bytes.length;
          // The newline at the end of the file is no part of an entry.
          fc.pre(place < bytes.length - 1);
          const sequence = bytes.subarray(0, place).filter((byte) => byte === 10).length + 1;
          bytes[place] ^= by;
          const found = await named(bytes);
          expect(near(sequence).some((one) => found.includes(one))).toBe(true);
        },
      ),
      { numRuns: 400 },
    );
  });

  type Change = [string, (lines: Line[], k: number) => Line[], (k: number) => number];
  const changes: Change[] = [
    ['a line that is gone', (lines, k) => lines.filter((_, j) => j !== k), (k) => k + 1],
    ['a line that stands twice', (lines, k) => lines.toSpliced(k, 0, lines[k]), (k) => k + 1],
    [
      'two lines that changed places',
      (lines, k) => lines.toSpliced(k, 2, lines[k + 1], lines[k]),
      (k) => k + 1,
    ],
    [
      'a line of another chain',
      (lines, k) => lines.toSpliced(k, 1, chainOf(lines.map(() => 'another'))[k]),
      (k) => k + 1,
    ],
    [
      'a line that is slipped in with a hash of its own',
      (lines, k) =>
        lines.toSpliced(k + 1, 0, { ...chainOf(lines.map(() => 'x'))[k], sequence: k + 2 }),
      (k) => k + 2,
    ],
  ];
  test.each(changes)('is found out by %s', async (_, change, sequenceOf) => {
    await fc.assert(
      fc.asyncProperty(chains, fc.nat(), async (lines, at) => {
        const k = at % (lines.length - 1);
        fc.pre(lines[k].text !== chainOf(lines.map(() => 'another'))[k].text);
        const found = await named(textOf(change(lines, k)));
        // Another first entry is as good as the right one: the second does not follow from it.
        expect(found.includes(sequenceOf(k)) || (k === 0 && found.includes(2))).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  test('that ends too soon is found out by a head or an anchor, at any byte', async () => {
    await fc.assert(
      fc.asyncProperty(chains, fc.nat(), async (lines, at) => {
        const text = Buffer.from(textOf(lines));
        const end = 1 + (at % (text.length - 2));
        const { sequence, hash } = lines[lines.length - 1];
        const head = { workspace: 'w', sequence, hash, at: null };
        const cut = text.subarray(0, end);
        expect(await named(cut, '--head', file('head.json', JSON.stringify(head)))).toContain(
          sequence,
        );
        const anchors = lines.map((one) => ({ ...head, sequence: one.sequence, hash: one.hash }));
        const other = { ...head, workspace: 'other', sequence: 99 };
        const kept = [other, ...anchors].map((one) => `${JSON.stringify(one)}\n`).join('');
        const anchor = file('anchors.ndjson', kept);
        expect(await named(cut, '--anchor', anchor)).toContain(sequence);
        const whole = await verify(file('whole.ndjson', textOf(lines)), '--anchor', anchor);
        expect(whole).toMatchObject({ code: 0, ok: true });
      }),
      { numRuns: 60 },
    );
  });

  test('that was made anew from an entry on is found out by an anchor before its end', async () => {
    const lines = chainOf(['a', 'b', 'c', 'd']);
    const anew = chainOf(['a', 'b', 'other', 'd']);
    const kept = { workspace: 'w', sequence: 3, hash: lines[2].hash, at: null };
    const anchor = file('one.ndjson', `${JSON.stringify(kept)}\n`);
    expect((await verify(file('anew.ndjson', textOf(anew)))).code).toBe(0);
    expect(await named(textOf(anew), '--anchor', anchor)).toEqual([3]);
  });
});

test('--replay tells what was decided, and says so where the chain does not hold', async () => {
  const api = await openTestApp();
  const { snapshot } = await frozenSnapshot(api);
  const ann = await api.as('ann', 'approver');
  const path = `/v1/snapshots/${snapshot.digest}/approvals`;
  const { id } = await must(ann, 201, 'POST', path, { meaning: 'use', reason: 'seen' });
  const text = await (await api.send('GET', '/v1/audit/export')).text();
  const at = api.deps.now().toISOString();
  const approval = { id, snapshot: snapshot.digest, meaning: 'use', by: 'ann', at, revoked: null };
  const state = { aliases: [], approvals: [approval], withdrawals: [] };
  const whole = await verify(file('decided.ndjson', text), '--replay');
  expect(whole).toMatchObject({ code: 0, state });
  const altered = file('undecided.ndjson', text.replaceAll('seen', 'none'));
  expect(await verify(altered, '--replay')).toMatchObject({ code: 1, ok: false, state });
  await api.database.close();
});

describe('a signature', () => {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const lines = chainOf(['a', 'b']);
  const whole = file('signed.ndjson', textOf(lines));
  const head = { workspace: 'w', sequence: 2, hash: lines[1].hash, at: '2026-03-01T09:00:00.000Z' };
  const spki = publicKey.export({ type: 'spki', format: 'der' }).toString('base64');
  let signature: Signature;
  beforeAll(async () => {
    const key = await auditKeyOf(privateKey.export({ type: 'pkcs8', format: 'pem' }) as string);
    signature = (await key?.sign(head)) as Signature;
  });
  const check = (kept: object, key: string) =>
    verify(whole, '--head', file('kept.json', JSON.stringify(kept)), '--key', key);

  test.each([
    ['PEM', () => file('key.pem', publicKey.export({ type: 'spki', format: 'pem' }))],
    ['base64', () => spki],
    ['the answer of the service', () => file('key.json', JSON.stringify({ publicKey: spki }))],
  ])('holds, with the key as %s', async (_, key) => {
    expect(await check({ ...head, signature, lastAnchored: null }, key())).toMatchObject({
      code: 0,
    });
  });

  test('does not hold for another key, another time, or where there is none', async () => {
    const other = generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'der' });
    const kept = [
      [{ ...head, signature }, other.toString('base64')],
      [{ ...head, at: '2026-03-01T09:00:00.001Z', signature }, spki],
      [head, spki],
    ] as const;
    for (const [one, key] of kept) {
      const { code, signatures } = await check(one, key);
      expect([code, signatures]).toEqual([1, [expect.stringMatching(/sign/)]]);
    }
  });

  test('is asked for with a head; what is no key or no head is a usage failure', async () => {
    expect((await verify(whole, '--key', spki)).code).toBe(2);
    expect((await check({ ...head, signature }, 'nonsense')).code).toBe(2);
    expect((await check({ hash: head.hash }, spki)).code).toBe(2);
  });
});
