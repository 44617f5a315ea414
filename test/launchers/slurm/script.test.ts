// The batch scripts, run by a real bash with stand-ins for apptainer, srun and podman that write
// down what they were given: what matters is what reaches the engine, and what a signal does.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { quoted } from '../../../api/launchers/slurm/script.ts';
import { createSlurmLauncher } from '../../../api/launchers/slurm/slurm.ts';
import { specOf, targetOf } from '../../support/launch-specs.ts';

const digest = 'a'.repeat(64);
const image = `registry.example.org:5000/lab/trainer:7@sha256:${digest}`;
const token = 'cw_secret';

const targetWith = (folder: string, fields: object) =>
  targetOf({
    name: 'cluster',
    engine: 'slurm',
    address: 'https://slurm.example.org:6820',
    credentials: { env: 'X' },
    images: [image],
    dataPaths: { liver: '/shared/images/liver' },
    outputPath: folder,
    gpuTypes: ['h200'],
    environment: { OMP_NUM_THREADS: '4' },
    user: 'lab',
    partition: 'gpu',
    apiVersion: 'v0.0.38',
    ...fields,
  });

type Written = { folder: string; args: string[]; env: Record<string, string> };

/** What a stand-in does: writes its arguments and environment, then these lines. */
const standIn = (folder: string, lines: string) => `#!/bin/bash
printf '%s\\n' "$0" "$@" > ${folder}/args
env -0 > ${folder}/env
${lines}
`;

function launched(fields: object, given: object = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'counterweight-slurm-'));
  const target = targetWith(folder, fields);
  const launcher = createSlurmLauncher(target, { credential: async () => null });
  const request = launcher.prepare(specOf(target, given)) as any;
  const { script, job } = request.body;
  expect(script).not.toContain(token);
  return { folder, script, environment: { ...job.environment, CW_TOKEN: token } };
}

function started(
  { folder, script, environment }: ReturnType<typeof launched>,
  stands: Record<string, string> = {},
) {
  mkdirSync(join(folder, 'bin'));
  for (const name of ['apptainer', 'srun', 'podman']) {
    writeFileSync(join(folder, 'bin', name), standIn(folder, stands[name] ?? 'exit 7'));
    chmodSync(join(folder, 'bin', name), 0o755);
  }
  writeFileSync(join(folder, 'job.sh'), script);
  const PATH = `${join(folder, 'bin')}:${environment.PATH}`;
  const env = { ...environment, PATH, CUDA_VISIBLE_DEVICES: '3' };
  return spawn('bash', [join(folder, 'job.sh')], { env, stdio: 'ignore' });
}

async function run(fields: object, given: object = {}): Promise<Written & { code: number }> {
  const job = launched(fields, given);
  const [code] = await once(started(job), 'exit');
  const args = readFileSync(join(job.folder, 'args'), 'utf8').trimEnd().split('\n').slice(1);
  expect(args.join()).not.toContain(token);
  const pairs = readFileSync(join(job.folder, 'env'), 'utf8').split('\0').filter(Boolean);
  const env = Object.fromEntries(pairs.map((pair) => pair.split(/=(.*)/s).slice(0, 2)));
  return { folder: job.folder, args, env, code };
}

const job = '01jd8z4n5v6w7x8y9zabcdefgh';
const gpu = { resources: { gpus: { count: 2, type: 'h200' }, cpus: 6, timeoutSeconds: 90 } };
const pairs = (args: string[], option: string) =>
  args.flatMap((one, at) => (one === option ? [args[at + 1]] : []));

test('apptainer: image by digest, images read-only, variables by name, GPUs', async () => {
  const { folder, args, env, code } = await run({ container: 'apptainer' }, gpu);
  expect(code).toBe(7);
  expect(args.slice(0, 4)).toEqual(['exec', '--cleanenv', '--no-home', '--pwd']);
  expect(pairs(args, '--bind')).toEqual([
    '/shared/images/liver:/data/liver:ro',
    `${folder}/${job}:/out/${job}`,
  ]);
  const trainer = ['node', '--import', 'tsx', 'trainer/main.ts'];
  const pinned = `docker://registry.example.org:5000/lab/trainer@sha256:${digest}`;
  expect(args.slice(-6)).toEqual(['--nv', pinned, ...trainer]);
  for (const prefix of ['APPTAINERENV', 'SINGULARITYENV']) {
    expect(env[`${prefix}_CW_TOKEN`]).toBe(token);
    expect(env[`${prefix}_CW_DATA`]).toBe('/data/liver');
    expect(env[`${prefix}_CUDA_VISIBLE_DEVICES`]).toBe('3');
    expect(env[`${prefix}_OMP_NUM_THREADS`]).toBe('4');
  }
  expect(env.HOME).toMatch(/^\//);
  expect(existsSync(join(folder, job))).toBe(true);
});

test('pyxis: one srun, the image as enroot names it, what the image says overridden', async () => {
  const options = { container: 'pyxis', containerOptions: ['--container-writable'] };
  const { folder, args, env, code } = await run(options, { ...gpu, trainer: 'nnunet' });
  expect(code).toBe(7);
  expect(args).toEqual([
    '--ntasks=1',
    '--cpus-per-task=6',
    '--no-container-mount-home',
    `--container-image=registry.example.org:5000#lab/trainer:sha256:${digest}`,
    '--container-workdir=/',
    `--container-mounts=/shared/images/liver:/data/liver:ro,${folder}/${job}:/out/${job}`,
    '--container-env=OMP_NUM_THREADS,CW_API,CW_JOB,CW_DATA,CW_OUT,CW_TOKEN,CUDA_VISIBLE_DEVICES',
    '--container-writable',
    'counterweight-nnunet',
    'run',
  ]);
  expect(env.CW_TOKEN).toBe(token);
});

test('podman: the image’s own command, nothing but what is mounted, ended at the latest', async () => {
  const { args, env, code } = await run({ container: 'podman' }, gpu);
  expect(code).toBe(7);
  expect(args.slice(0, 2)).toEqual(['run', '--rm']);
  expect(pairs(args, '--name')).toEqual([`cw-${job}-1`]);
  expect(pairs(args, '--timeout')).toEqual(['180']);
  expect(pairs(args, '--env')).toContain('CW_TOKEN');
  expect(pairs(args, '--device')).toEqual(['nvidia.com/gpu=all']);
  expect(args).toEqual(expect.arrayContaining(['--read-only', '--cap-drop', 'all']));
  expect(args.at(-1)).toBe(`registry.example.org:5000/lab/trainer@sha256:${digest}`);
  expect(args).not.toContain('--entrypoint');
  expect(args).toEqual(expect.arrayContaining(['--sig-proxy=false', '--log-driver']));
  expect(env.CW_TOKEN).toBe(token);
});

test('podman: another command is run instead of the image’s own, with further options', async () => {
  const own = { command: ['node', '-e', "console.log('a b')"], workingFolder: '/srv' };
  const options = { container: 'podman', containerOptions: ['--network', 'host'], ...own };
  const { args } = await run(options);
  expect(pairs(args, '--entrypoint')).toEqual(['']);
  expect(pairs(args, '--workdir')).toEqual(['/srv']);
  expect(args.slice(-6, -4)).toEqual(['--network', 'host']);
  expect(args.slice(-3)).toEqual(own.command);
  expect(args).not.toContain('--device');
});

const name = `cw-${job}-1`;
const endings = [`stop --ignore --time 9 ${name}`, `rm --force --ignore ${name}`];

/** Runs a job by a podman that begins with `client`, signals both, says how the job ended. */
async function signalled(client: string, signals: { podman: NodeJS.Signals; script: number }) {
  const given = launched({ container: 'podman', stopSeconds: 9 });
  const { folder } = given;
  const podman = `echo "$*" >> ${folder}/told
if [ "$1" = stop ]; then kill -KILL "$(cat ${folder}/pid)"; fi
if [ "$1" != run ]; then exit 0; fi
echo $$ > ${folder}/pid; ${client}
echo > ${folder}/ready; while true; do read -t 0.05 <> <(:); done`;
  const child = started(given, { podman });
  const exit = once(child, 'exit');
  while (!existsSync(join(folder, 'ready'))) await new Promise(setImmediate);
  process.kill(Number(readFileSync(join(folder, 'pid'), 'utf8')), signals.podman);
  for (let times = 0; times < signals.script; times++) child.kill('SIGTERM');
  const [code] = await exit;
  const told = readFileSync(join(folder, 'told'), 'utf8').trim().split('\n');
  return { code, told: told.slice(1) };
}

test('podman: on SIGTERM the script ends the container, whether podman lives or not', async () => {
  for (const client of ['', "trap '' TERM"]) {
    const ended = await signalled(client, { podman: 'SIGTERM', script: 2 });
    expect(ended).toEqual({ code: 143, told: endings });
  }
});

test('podman: killed alone, as for memory, it leaves no container behind', async () => {
  const ended = await signalled('', { podman: 'SIGKILL', script: 0 });
  expect(ended).toEqual({ code: 137, told: endings });
});

test('bare: the command itself is the job, with the paths of the node', async () => {
  const command = ['srun', 'one word', '$HOME', "it's"];
  const { folder, args, env } = await run({ container: 'bare', command }, { image: null });
  expect(args).toEqual(['one word', '$HOME', "it's"]);
  expect(env).toMatchObject({ CW_DATA: '/shared/images/liver', CW_OUT: `${folder}/${job}` });
});

test('the site’s own script has every variable, and its own shell', async () => {
  const line = 'srun "$image" "$mounts" "$minutes" "$working_folder"';
  const { args } = await run({ script: ['#!/usr/bin/env bash', line] }, gpu);
  expect(args).toEqual([
    `registry.example.org:5000/lab/trainer@sha256:${digest}`,
    '/shared/images/liver:/data/liver:ro',
    '2',
    '/app',
  ]);
  const { script } = launched({ script: `#!/usr/bin/env bash\n${line}` });
  expect(script).toMatch(/^#!\/usr\/bin\/env bash\nlaunch_key=/);
  expect(script.match(/#!/g)).toHaveLength(1);
});

test('whatever is in a value, the shell gets it as one word and runs nothing of it', async () => {
  const hostile = `a'b "c" $(exit 9) \`id\` \\ ; & | > é`;
  const command = ['srun', hostile, '', '-n'];
  const { args } = await run({ container: 'bare', command: command.filter(Boolean) });
  expect(args).toEqual([hostile, '-n']);
  expect(quoted('')).toBe("''");
});
