// The outside check in Python, run on the known answers: digest, draws and ledger digest agree, and
// a stream altered in one place does not.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';

type Row = [id: string, target: string, draw: string, lossFactor: number];
type Vectors = {
  snapshots: { header: object; rows: Row[]; digest: string }[];
  draws: {
    snapshot: number;
    seed: number;
    epoch: number;
    drawsPerEpoch: number;
    first: string[];
    ledgerDigest: string;
  }[];
};

const script = join(import.meta.dirname, 'replay.py');
const vectorsPath = join(import.meta.dirname, '..', 'vectors', 'method.json');
const vectors = JSON.parse(readFileSync(vectorsPath, 'utf8')) as Vectors;
const folder = mkdtempSync(join(tmpdir(), 'cw-replay-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const hasPython = spawnSync('python3', ['--version']).status === 0;
if (!hasPython) {
  console.warn(
    'SKIPPED: test/replay/replay.test.ts, the check of our numbers in another language. It needs ' +
      'python3 (standard library only): apt-get install python3, or https://www.python.org',
  );
}

const caseOf = ([id, targetUnits, drawUnits, lossFactor]: Row) => ({
  id,
  targetUnits,
  drawUnits,
  lossFactor,
  score: 1,
});

function stored(name: string, content: string) {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

function replay(args: string[]) {
  const { status, stdout, stderr } = spawnSync('python3', [script, ...args], {
    encoding: 'utf8',
    env: { ...process.env, PYTHONIOENCODING: 'utf-8' },
  });
  const lines = stdout.split('\n').filter((line) => line !== '');
  return { status, stderr, lines: lines.map((line) => JSON.parse(line)) };
}

describe.skipIf(!hasPython)('replay.py', () => {
  test.each(vectors.snapshots.map((_, index) => index))(
    'agrees with known answer %i: digest, draws and ledger digests',
    (index) => {
      const { header, rows, digest } = vectors.snapshots[index];
      const cases = rows.toReversed().map(caseOf);
      const path = stored(`${index}.json`, JSON.stringify({ digest, header, cases }));
      const plans = vectors.draws.filter(({ snapshot }) => snapshot === index);
      const answer = replay([
        path,
        ...plans.flatMap((one) => ['--plan', one.seed, one.epoch, one.drawsPerEpoch].map(String)),
      ]);
      expect(answer.stderr).toBe('');
      expect(answer.status).toBe(0);
      const [found, ...epochs] = answer.lines;
      expect(found).toEqual({ digest, agrees: true, caseCount: rows.length });
      expect(epochs.map(({ ledger }) => ledger)).toEqual(plans.map((one) => one.ledgerDigest));
      expect(epochs.map(({ first }) => first)).toEqual(plans.map((one) => one.first));
    },
  );

  test('takes one epoch by --seed, --epoch and --draws, and refuses two of the three', () => {
    const [plan] = vectors.draws;
    const { header, rows, digest } = vectors.snapshots[plan.snapshot];
    const path = stored('one.json', JSON.stringify({ digest, header, cases: rows.map(caseOf) }));
    const two = [path, '--seed', String(plan.seed), '--epoch', String(plan.epoch)];
    const answer = replay([...two, '--draws', String(plan.drawsPerEpoch)]);
    expect(answer.lines[1]).toMatchObject({ ledger: plan.ledgerDigest, first: plan.first });
    const refused = replay(two);
    expect(refused).toMatchObject({ status: 2, lines: [] });
    expect(refused.stderr).toContain('belong together');
  });

  test('reads NDJSON with the header aside, whichever way a number is written', () => {
    const { header, rows, digest } = vectors.snapshots[2];
    const lines = rows.map((row) => `${JSON.stringify(caseOf(row))}\n`).join('');
    const document = JSON.stringify({ digest, header }).replace('"cap":5', '"cap":5.0');
    const path = stored('lines.ndjson', lines);
    const answer = replay([path, '--header', stored('header.json', document)]);
    expect(answer.lines[0]).toEqual({ digest, agrees: true, caseCount: rows.length });
  });

  test('says so when a loss factor was changed by its last bit', () => {
    const { header, rows, digest } = vectors.snapshots[2];
    const cases = rows.map(caseOf);
    cases[0].lossFactor *= 1 + Number.EPSILON;
    const answer = replay([stored('bit.json', JSON.stringify({ digest, header, cases }))]);
    expect(answer.status).toBe(1);
    expect(answer.lines[0]).toMatchObject({ agrees: false });
    expect(answer.stderr).toContain(`not ${digest} as stated`);
  });

  test('says so when the units do not add up', () => {
    const { header, rows, digest } = vectors.snapshots[2];
    const answer = replay([
      stored('sum.json', JSON.stringify({ digest, header, cases: rows.slice(1).map(caseOf) })),
    ]);
    expect(answer.status).toBe(1);
    expect(answer.stderr).toContain('targetUnits sum to');
  });
});

test.skipIf(!hasPython)('numbers are written as ECMAScript writes them', () => {
  const numbers = [5, 0.2, 1e21, 1.5e300, 1e-6, 1e-7, 1.25e-9, 123456.789, 2 ** 53, 0.1 + 0.2];
  const code = `import json, sys, replay
print(json.dumps([replay.canonical_number(n) for n in json.loads(sys.argv[1])]))`;
  const { stdout, stderr } = spawnSync('python3', ['-c', code, JSON.stringify(numbers)], {
    encoding: 'utf8',
    cwd: import.meta.dirname,
    env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1' },
  });
  expect(stderr).toBe('');
  expect(JSON.parse(stdout)).toEqual(numbers.map(String));
});
