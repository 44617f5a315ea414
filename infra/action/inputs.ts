// The inputs of a step, as action.yml has them: read, and refused where they cannot be meant.

import type { Asked } from '../../api/contract/client.ts';
import type { MetricGate } from '../../api/contract/gates.ts';
import type { Fold } from '../../api/contract/shared.ts';
import { exitCodes, failure } from './failure.ts';

export type LaunchBody = Asked<'POST /v1/jobs'>['body'];

/** A figure that may not be lower: of each fold, or of their mean. */
export type Condition = MetricGate & { ofMean: boolean; text: string };

export type Inputs = {
  api: string;
  token: string | null;
  audience: string;
  policy: string | undefined;
  source: { snapshot: string } | { dataset: string; alias: string; folds: Fold[] | undefined };
  launch: Pick<LaunchBody, 'target' | 'image' | 'seed' | 'settings' | 'resources' | 'monitors'>;
  reason: string | null;
  compareTo: string | null;
  wait: boolean;
  timeoutMs: number;
  pollMs: number;
  conditions: Condition[];
  dryRun: boolean;
  comment: boolean;
  githubToken: string;
  key: string | null;
  matrix: string;
};

/** Reads an input by its name in action.yml; empty where it was not given. */
export type Read = (name: string) => string;

/** The inputs; a usage failure names the one that is wrong. */
export function inputsOf(read: Read): Inputs {
  const given = (name: string) => read(name) || null;
  const api = addressOf(read('api-url'));
  return {
    api,
    token: given('token'),
    audience: given('audience') ?? api,
    policy: given('policy') ?? undefined,
    source: sourceOf(read),
    launch: {
      target: given('target') ?? refuse('target', 'name a launch target'),
      image: given('image') ?? undefined,
      seed: seedOf(given('seed') ?? '1'),
      ...(jsonOf(read, 'settings', 'resources', 'monitors') as object),
    },
    reason: given('reason'),
    compareTo: given('compare-to'),
    wait: flagOf('wait', given('wait') ?? 'true'),
    timeoutMs: durationOf('timeout', given('timeout') ?? '6h'),
    pollMs: durationOf('poll', given('poll') ?? '10s'),
    conditions: conditionsOf(read('fail-if')),
    dryRun: flagOf('dry-run', given('dry-run') ?? 'false'),
    comment: flagOf('pr-comment', given('pr-comment') ?? 'false'),
    githubToken: read('github-token'),
    key: given('idempotency-key'),
    matrix: read('matrix'),
  };
}

function refuse(name: string, what: string): never {
  throw failure(`input ${name}: ${what}`, exitCodes.usage);
}

function addressOf(text: string): string {
  if (/^https?:\/\//.test(text) && URL.canParse(text)) return text.replace(/\/+$/, '');
  return refuse('api-url', `"${text}" is no address, as https://counterweight.example.org`);
}

function sourceOf(read: Read): Inputs['source'] {
  const [snapshot, dataset, alias, folds] = ['snapshot', 'dataset', 'alias', 'folds'].map(read);
  if (snapshot !== '') {
    const other = alias !== '' ? 'alias' : folds !== '' ? 'folds' : null;
    if (other !== null) return refuse(other, 'give either snapshot, or dataset and alias');
    return { snapshot };
  }
  if (alias === '') return refuse('snapshot', 'give either snapshot, or dataset and alias');
  if (dataset === '') return refuse('dataset', 'name the dataset of the alias');
  return { dataset, alias, folds: folds === '' ? undefined : foldsOf(folds) };
}

function foldsOf(text: string): Fold[] {
  return text.split(',').map((part) => {
    const fold = part.trim();
    if (fold === 'all') return fold;
    return /^\d+$/.test(fold) ? Number(fold) : refuse('folds', `"${fold}" is no fold; as 0,1,2`);
  });
}

function seedOf(text: string): number {
  const seed = Number(text);
  return /^\d+$/.test(text) && Number.isSafeInteger(seed)
    ? seed
    : refuse('seed', `"${text}" is no whole number from 0 on`);
}

function jsonOf(read: Read, ...names: string[]): Record<string, unknown> {
  const given = names.filter((name) => read(name).trim() !== '');
  return Object.fromEntries(given.map((name) => [name, objectOf(name, read(name))]));
}

function objectOf(name: string, text: string): object {
  try {
    const value = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  } catch (cause) {
    return refuse(name, `it is not JSON (${(cause as Error).message})`);
  }
  return refuse(name, 'a JSON object is needed, as {"epochs": 100}');
}

function flagOf(name: string, text: string): boolean {
  if (/^true$/i.test(text)) return true;
  if (/^false$/i.test(text)) return false;
  return refuse(name, `"${text}" is neither true nor false`);
}

const unitMs: Record<string, number> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

function durationOf(name: string, text: string): number {
  const [, number, unit] = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)$/.exec(text.trim()) ?? [];
  const duration = Number(number) * unitMs[unit];
  return duration > 0 ? duration : refuse(name, `"${text}" is no duration, as 30s, 90m or 6h`);
}

const condition = /^(?:mean\(\s*([^()<>\s]+)\s*\)|([^()<>\s]+))\s*<\s*(\d+(?:\.\d+)?|\.\d+)$/;

/** When a step fails: `FIGURE < NUMBER`, or `mean(FIGURE) < NUMBER` over the folds, one a line. */
export function conditionsOf(text: string): Condition[] {
  const lines = text.split('\n').map((line) => line.trim());
  return lines
    .filter((line) => line !== '')
    .map((line) => {
      const [, inMean, alone, least] = condition.exec(line) ?? [];
      if (least === undefined) {
        return refuse('fail-if', `"${line}" is no condition, as dice.mean < 0.7, one a line`);
      }
      const figure = inMean ?? alone;
      return { figure, least: Number(least), ofMean: inMean !== undefined, text: line };
    });
}
