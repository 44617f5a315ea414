// What an agent's own machine says of its target, and what it refuses to run.

import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { AgentWork } from '../../../api/contract/agents.ts';
import { resourcesSchema } from '../../../api/contract/settings.ts';
import { type Own, ownTarget, requestOf } from '../../../trainer/agent/own-target.ts';
import { run } from '../../../trainer/cli.ts';
import type { Io } from '../../../trainer/commands/io.ts';
import { createFakeLauncher } from '../../support/fake-launcher.ts';
import { targetOf } from '../../support/launch-specs.ts';

const image = `registry.example.org/trainer@sha256:${'a'.repeat(64)}`;

const work = (more: Partial<AgentWork> = {}): AgentWork => ({
  id: 'cw-j1-1',
  launchKey: 'cw-j1-1',
  job: 'j1',
  attempt: 1,
  image,
  trainer: 'counterweight',
  api: 'https://weights.example.org',
  dataset: 'liver',
  resources: resourcesSchema.parse({}),
  handle: null,
  stop: null,
  ended: false,
  ...more,
});

const own = (fields: object = {}): Own => ({
  target: targetOf({
    engine: 'slurm',
    images: [image],
    dataPaths: { liver: '/lustre/liver' },
    ...fields,
  }),
  launcher: createFakeLauncher(),
});

const reached = 'http://127.0.0.1:8787';
const addressIn = (fields: object, more: Partial<AgentWork>, by = reached) =>
  (requestOf(own(fields), work(more), by).environment as { CW_API: string }).CW_API;

describe('the address that trainers are given', () => {
  test('is what the own target says, else what the service says', () => {
    expect(addressIn({ api: 'http://proxy:3128' }, {})).toBe('http://proxy:3128');
    expect(addressIn({}, {})).toBe('https://weights.example.org');
  });

  test('is the one that got through where the service knows only its loopback one', () => {
    const told = { api: 'http://127.0.0.1:8787' };
    expect(addressIn({}, told, 'https://gate.example.org')).toBe('https://gate.example.org');
    expect(addressIn({}, told)).toBe(told.api);
  });
});

test.each([
  ['an image that this machine does not list', { image: 'evil@sha256:1' }, {}, 'does not allow'],
  ['no image where one is needed', { image: null }, {}, 'does not allow the image (none)'],
  ['an image where none is run', {}, { engine: 'local' }, 'runs no image'],
  ['a dataset without a folder', { dataset: 'lung' }, {}, 'no images of dataset "lung"'],
  ['a dataset named like a prototype', { dataset: 'constructor' }, {}, 'no images of dataset'],
])('refuses %s', (_, more, fields, words) => {
  expect(() => requestOf(own(fields), work(more), reached)).toThrow(words);
});

const good = { name: 'cluster', engine: 'local' };
const list = (fields: object) => JSON.stringify([{ ...good, ...fields }]);

test.each([
  ['no CW_TARGETS', undefined, 'CW_TARGETS is not set on this machine'],
  ['a target of another name', list({ name: 'other' }), 'has no target "cluster"; it has: other'],
  ['an agent as its engine', list({ engine: 'agent' }), 'needs its real engine'],
  ['hours that nobody counts', list({ limits: { gpuHoursPerDay: 3 } }), 'limits.gpuHoursPerDay'],
  ['a field that its engine does not know', list({ partition: 'gpu' }), 'partition'],
  ['no JSON', '[{', 'the JSON in CW_TARGETS cannot be read'],
])('the command ends with usage for %s, before it asks anybody', async (_, targets, words) => {
  const said: string[] = [];
  const io: Io = {
    out: () => {},
    say: (line) => said.push(line),
    env: { CW_TARGETS: targets, CW_TOKEN: 'cw_test' },
    fetch: () => Promise.reject(new Error('nobody is asked')),
    now: () => 0,
    sleep: async () => {},
    terminal: false,
    exitWith: () => {},
  };
  expect(await run(['agent', '--target', 'cluster'], io)).toBe(2);
  expect(said.join('\n')).toContain(words);
});

test('makes the launcher of the real engine, which keeps what it must know on this machine', async () => {
  const stateDir = mkdtempSync(join(tmpdir(), 'counterweight-agent-'));
  const env = { CW_TARGETS: list({}), CW_DATA_DIR: stateDir };
  const { target, launcher } = await ownTarget(env, 'cluster');
  expect([target.engine, launcher.engine]).toEqual(['local', 'local']);
  expect(await launcher.find('cw-none-1')).toBeNull();
});
