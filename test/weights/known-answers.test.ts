// Known answers of METHOD.md (test/vectors), made with exact rational arithmetic without the
// product.

import { describe, expect, test } from 'vitest';
import { drawProbabilities } from '../../api/weights/allocation.ts';
import {
  canonicalHeader,
  compareIds,
  runningDigest,
  snapshotDigest,
} from '../../api/weights/digest.ts';
import { drawPlan } from '../../api/weights/draws.ts';
import { ledgerDigest } from '../../api/weights/ledger.ts';
import { lossFactors } from '../../api/weights/loss-factors.ts';
import { philoxBlock, philoxWords } from '../../api/weights/philox.ts';
import { probabilityUnits, unitSum, wholeUnits } from '../../api/weights/units.ts';
import { knownAnswers, snapshotColumns } from './cases.ts';

const known = knownAnswers();

// The nearest double below an exact fraction, to 2^-120.
function fraction(text: string): number {
  const [over, under] = text.split('/').map(BigInt);
  return Number((over * 2n ** 120n) / (under ?? 1n)) / 2 ** 120;
}

describe('philox', () => {
  test.each(known.philox)('gives the words of counter $counter and key $key', (answer) => {
    expect(philoxBlock(answer.counter, answer.key)).toEqual(answer.words);
  });

  test('streams the words of blocks 0, 1, 2 ... in order', () => {
    const { word } = philoxWords([7, 9]);
    const blocks = Array.from({ length: 1_000 }, (_, block) =>
      philoxBlock([block, 0, 0, 0], [7, 9]),
    ).flat();
    expect(blocks.map(() => word())).toEqual(blocks);
  });

  test('takes 20 high bits of one word and all of the next for a number under 2^52', () => {
    const [high, low] = philoxBlock([0, 0, 0, 0], [7, 9]);
    expect(philoxWords([7, 9]).below52()).toBe((high >>> 12) * 2 ** 32 + low);
  });

  test('rejects a word that would make a bounded number uneven', () => {
    const n = 2 ** 31 + 1;
    const words = philoxWords([7, 9]);
    const bounded = philoxWords([7, 9]);
    const kept = Array.from({ length: 64 }, () => words.word()).filter((word) => word < n);
    expect(kept.length).toBeLessThan(60);
    expect(kept.map(() => bounded.below(n))).toEqual(kept);
  });
});

describe('allocation', () => {
  test.each(known.allocation.map((answer, k) => ({ k, answer })))(
    'gives the draw probabilities of vector $k to 1e-12',
    ({ answer }) => {
      const q = drawProbabilities({
        target: Float64Array.from(answer.targetProbability),
        logScores: Float64Array.from(answer.score, Math.log),
        temper: 1,
        floor: answer.floor,
        cap: answer.cap,
      });
      const off = answer.drawProbability.map((exact, k) => Math.abs(q[k] / exact - 1));
      expect(Math.max(...off)).toBeLessThanOrEqual(1e-12);
    },
  );
});

describe('integers', () => {
  test.each(known.integers.map((answer, k) => ({ k, answer })))(
    'gives the units of vector $k within 4, with the exact sum',
    ({ answer: { caseIds, numerators, units } }) => {
      const order = caseIds.map((_, k) => k).sort((a, b) => compareIds(caseIds[a], caseIds[b]));
      const found = probabilityUnits(Float64Array.from(order, (k) => fraction(numerators[k])));
      expect(unitSum(found)).toBe(wholeUnits);
      const off = order.map((k, place) => Math.abs(found[place] - Number(units[k])));
      expect(Math.max(...off)).toBeLessThanOrEqual(4);
    },
  );
});

describe('snapshots', () => {
  test.each(known.snapshots.map((answer, k) => ({ k, answer })))(
    'digests vector $k: header, chunks and whole',
    ({ answer }) => {
      const columns = snapshotColumns(answer);
      const { header, ids, targetUnits, drawUnits, lossFactors: factors } = columns;
      expect(canonicalHeader(header)).toBe(`${answer.canonicalHeader}\n`);
      const running = runningDigest(header);
      ids.forEach((id, k) => {
        running.add(id, targetUnits[k], drawUnits[k], factors[k]);
      });
      expect(running.chunkDigests()).toEqual(
        answer.chunkDigests.map((digest) => `sha256:${digest.replace('sha256:', '')}`),
      );
      expect(running.digest()).toBe(answer.digest);
      expect(snapshotDigest(columns)).toBe(answer.digest);
    },
  );

  test.each(known.snapshots.map((answer, k) => ({ k, answer })))(
    'gives the loss factors of vector $k: T/Q bit for bit, powers to 1e-9',
    ({ answer }) => {
      const { header, targetUnits, drawUnits, lossFactors: factors } = snapshotColumns(answer);
      const found = lossFactors(targetUnits, drawUnits, header.strength);
      if (header.strength === 0 || header.strength === 1) expect(found).toEqual(factors);
      else
        expect(
          Math.max(...found.map((factor, k) => Math.abs(factor / factors[k] - 1))),
        ).toBeLessThan(1e-9);
    },
  );
});

describe('draws', () => {
  test.each(known.draws)(
    'replays snapshot $snapshot, seed $seed, epoch $epoch, $drawsPerEpoch draws',
    ({ snapshot, seed, epoch, drawsPerEpoch, first, ledgerDigest: digest }) => {
      const { ids, drawUnits } = snapshotColumns(known.snapshots[snapshot]);
      const plan = drawPlan({
        digest: known.snapshots[snapshot].digest,
        drawUnits,
        seed,
        epoch,
        drawsPerEpoch,
      });
      const picks = Array.from(plan, (place) => ids[place]);
      expect(picks.slice(0, first.length)).toEqual(first);
      expect(ledgerDigest(picks)).toBe(digest);
    },
  );
});
