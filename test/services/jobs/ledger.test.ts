// Draws are proven or not: the same verdict from the pure function and from the database.

import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { ledgerEpochs } from '../../../api/services/jobs/ledger.ts';
import { countEpochs } from '../../../api/store/draw-ledger.ts';
import { drawLedger } from '../../../api/store/schema-jobs.ts';
import { type JobTest, jobSettings, ledgerRange, openJobTest } from '../../support/jobs.ts';

let api: JobTest;
beforeAll(async () => {
  api = await openJobTest();
});

async function reported(ranges: Parameters<typeof ledgerRange>[1][]) {
  const { id } = await api.launch();
  const trainer = api.trainer(id);
  for (const [sequence, range] of ranges.entries()) {
    await trainer.report({ sequence, ledger: [await ledgerRange(api, range)] });
  }
  const { verifiedDraws } = await api.read(id);
  const { body } = await api.call('GET', `/v1/jobs/${id}/ledger`);
  return { id, trainer, verifiedDraws, epochs: body.items };
}

describe('an epoch', () => {
  test('is partial until all of its draws are covered, then verified', async () => {
    const { epochs, trainer, id } = await reported([{ epoch: 0, draws: 4 }]);
    expect(epochs).toMatchObject([{ epoch: 0, state: 'partial', draws: 4, repeated: 0 }]);
    const rest = await ledgerRange(api, { epoch: 0, from: 4, draws: 4 });
    await trainer.report({ sequence: 1, ledger: [rest] });
    expect((await api.read(id)).verifiedDraws).toEqual({ verified: 1, partial: 0, mismatch: 0 });
  });

  test('may be reported again from an older checkpoint: shown as repeated', async () => {
    const { epochs, verifiedDraws } = await reported([
      { epoch: 0, draws: 6 },
      { epoch: 0, from: 2, draws: 6 },
    ]);
    expect(epochs).toMatchObject([{ state: 'verified', draws: 8, repeated: 4 }]);
    expect(verifiedDraws).toEqual({ verified: 1, partial: 0, mismatch: 0 });
  });

  test('with a hole is not verified, however many draws were reported', async () => {
    const { epochs } = await reported([
      { epoch: 0, draws: 6 },
      { epoch: 0, draws: 6 },
    ]);
    expect(epochs).toMatchObject([{ state: 'partial', draws: 6, repeated: 6 }]);
  });
});

describe('a mismatch', () => {
  const wrong = async (change: object) => {
    const { id } = await api.launch();
    const range = { ...(await ledgerRange(api, { epoch: 0 })), ...change };
    const answer = await api.trainer(id).report({ sequence: 0, ledger: [range] });
    return { id, answer };
  };
  const others = `sha256:${'0'.repeat(64)}`;

  test.each([
    ['other draws', { digest: others }],
    ['another snapshot', { snapshot: others }],
    ['the draws of another epoch', { epoch: 1 }],
    ['too few of its draws', { draws: 7 }],
  ])('of %s is an event and an audit entry', async (_, change) => {
    const { id, answer } = await wrong(change);
    expect(answer.status).toBe(200);
    expect((await api.read(id)).verifiedDraws).toEqual({ verified: 0, partial: 0, mismatch: 1 });
    const { body } = await api.call('GET', `/v1/jobs/${id}/events`);
    expect(body.items.map((event: any) => event.kind)).toContain('drawMismatch');
    expect(await api.audit(id)).toContain('job.draw-mismatch');
  });

  test('is not healed by a right report that follows', async () => {
    const { id } = await wrong({ digest: others });
    const right = await ledgerRange(api, { epoch: 0 });
    await api.trainer(id).report({ sequence: 1, ledger: [right] });
    expect((await api.read(id)).verifiedDraws.mismatch).toBe(1);
  });

  test('is nothing where the draws are not of the job at all: refused, and nothing stored', async () => {
    for (const change of [{ epoch: jobSettings.epochs }, { from: 4 }]) {
      const { id, answer } = await wrong(change);
      expect(answer.status).toBe(422);
      expect(answer.body.errors[0].pointer).toBe('/ledger/0');
      expect((await api.call('GET', `/v1/jobs/${id}/ledger`)).body.items).toEqual([]);
    }
  });
});

test('rows of the ledger can be neither changed nor removed', async () => {
  await reported([{ epoch: 0 }]);
  const { orm } = api.database;
  await expect(orm.update(drawLedger).set({ matches: true })).rejects.toThrow();
  await expect(orm.delete(drawLedger)).rejects.toThrow();
});

const ranges = fc.array(
  fc.record({
    epoch: fc.nat(2),
    fromDraw: fc.nat(7),
    length: fc.integer({ min: 1, max: 8 }),
    wrong: fc.integer({ min: 0, max: 9 }),
  }),
  { maxLength: 12 },
);

test('the database counts epochs as the pure function does, whatever is reported', async () => {
  await fc.assert(
    fc.asyncProperty(ranges, async (reports) => {
      const { id } = await api.launch();
      const rows = reports.map(({ epoch, fromDraw, length, wrong }) => ({
        jobId: id,
        attempt: 1,
        at: api.deps.now(),
        epoch,
        snapshotDigest: api.snapshot,
        fromDraw,
        draws: Math.min(length, jobSettings.drawsPerEpoch - fromDraw),
        digest: 'any',
        matches: wrong > 0,
      }));
      if (rows.length > 0) await api.database.orm.insert(drawLedger).values(rows as never);
      const epochs = ledgerEpochs(rows, jobSettings.drawsPerEpoch);
      const count = (state: string) => epochs.filter((epoch) => epoch.state === state).length;
      const none = { verified: 0, partial: 0, mismatch: 0 };
      expect((await countEpochs(api.database.orm, [id])).get(id) ?? none).toEqual({
        verified: count('verified'),
        partial: count('partial'),
        mismatch: count('mismatch'),
      });
    }),
    { numRuns: 40, seed: 3 },
  );
});
