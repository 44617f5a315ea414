// A team and its aliases: ed freezes, mo moves, ann approves.

import { openTestApp, type Sending, type TestApp } from './app.ts';
import { committedDataset, must, rules } from './builders.ts';

export type Named = { id: string; digest: string };

type Person = Sending & { token: string };

export type AliasTest = TestApp & {
  ed: Person;
  mo: Person;
  ann: Person;
  /** A committed dataset with the rule sets rare@1 and rare@2. */
  dataset: (name: string) => Promise<void>;
  /** A snapshot of a fold, frozen by ed. */
  freeze: (name: string, fold: number, ruleSet?: string, by?: Sending) => Promise<Named>;
  /** Puts the alias `production` of a dataset, as mo. */
  put: (
    name: string,
    body: object,
    by?: Sending,
    headers?: Record<string, string>,
  ) => Promise<{ status: number; body: any }>;
  /** Approves a digest, as ann. */
  approve: (digest: string, by?: Sending) => Promise<any>;
};

export const aliasPath = (name: string, alias = 'production') =>
  `/v1/datasets/${name}/aliases/${alias}`;

/** The app with three people who may each do one thing. */
export async function openAliasTest(): Promise<AliasTest> {
  const api = await openTestApp();
  const ed = await api.as('ed', 'editor');
  const mo = await api.as('mo', 'editor');
  const ann = await api.as('ann', 'approver');
  return {
    ...api,
    ed,
    mo,
    ann,
    dataset: async (name) => {
      await committedDataset(api, { name });
      const stricter = { ...rules, sampling: { ...rules.sampling, cap: 2 } };
      for (const document of [rules, stricter]) {
        const body = { name: 'rare', rules: document, reason: 'lesions are rare' };
        await must(api, 201, 'POST', `/v1/datasets/${name}/rule-sets`, body);
      }
    },
    freeze: async (name, fold, ruleSet = 'rare@1', by = ed) => {
      const body = { version: 1, split: 'five-fold', fold, ruleSet, reason: 'run' };
      const { id, digest } = await must(by, 201, 'POST', `/v1/datasets/${name}/snapshots`, body);
      return { id, digest };
    },
    put: (name, body, by = mo, headers) =>
      by.call('PUT', aliasPath(name), { reason: 'it did well', ...body }, headers),
    approve: (digest, by = ann) => {
      const body = { meaning: 'use', reason: 'seen' };
      return must(by, 201, 'POST', `/v1/snapshots/${digest}/approvals`, body);
    },
  };
}
