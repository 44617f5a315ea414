// The batch script of a job: a head that sets shell variables, every value quoted, and a preset or
// the site's own lines that use them. Nothing of a job is pasted into a command, and the token is
// in the environment alone. Slurm sends SIGTERM to all in a job and kills it after KillWait.

import { ProblemError } from '../../errors.ts';
import type { LaunchSpec } from '../launcher.ts';
import { commandOf, type SlurmFields } from './fields.ts';
import { head, presets } from './presets.ts';

/** A value as one word of the shell. */
export function quoted(value: string): string {
  return /^[\w@%+=:,./-]+$/.test(value) ? value : `'${value.replaceAll("'", "'\\''")}'`;
}

const list = (values: string[]) => `(${values.map(quoted).join(' ')})`;

type Mount = { source: string; target: string; readOnly: boolean };

export type Places = {
  /** On the nodes. */
  dataPath: string;
  outPath: string;
  /** Inside the container; the same without one. */
  data: string;
  out: string;
};

/** Where the images and the output of a job are. */
export function placesOf({ container, outputPath }: SlurmFields, spec: LaunchSpec): Places {
  const { dataPath, jobId } = spec;
  const outPath = `${outputPath.replace(/\/+$/, '')}/${jobId}`;
  if (container === 'bare') return { dataPath, outPath, data: dataPath, out: outPath };
  const name = dataPath.replace(/\/+$/, '').split('/').at(-1) ?? '';
  return { dataPath, outPath, data: `/data/${name}`, out: `/out/${jobId}` };
}

/** The image by its digest alone: that decides, and several engines refuse a tag beside it. */
function pinnedImage({ image }: LaunchSpec): string {
  return (image ?? '').replace(/:[^/:@]+@/, '@');
}

/** As enroot wants it: REGISTRY#NAME:sha256:DIGEST; what stands before an @ is a user there. */
function enrootImage(image: string): string {
  const [first, ...rest] = image.replace('@', ':').split('/');
  const isRegistry = rest.length > 0 && /[.:]|^localhost$/.test(first);
  return isRegistry ? `${first}#${rest.join('/')}` : image.replace('@', ':');
}

/** Variables that a site's own script may use, each as `$name`, lists as `"${name[@]}"`. */
export const scriptVariables = [
  'launch_key',
  'job_id',
  'image',
  'enroot_image',
  'data_path',
  'out_path',
  'data',
  'out',
  'gpus',
  'cpus',
  'memory_mib',
  'minutes',
  'stop_seconds',
  'working_folder',
  'command',
  'own_command',
  'container_options',
  'mounts',
  'names',
] as const;

/** The script of a job; pure. Throws ProblemError `unprocessable` for what no script can hold. */
export function batchScript(
  fields: SlurmFields,
  spec: LaunchSpec,
  { minutes, cpus, names }: { minutes: number; cpus: number; names: string[] },
): string {
  const places = placesOf(fields, spec);
  const { command, own, folder } = commandOf(fields, spec.trainer);
  const image = pinnedImage(spec);
  const values: Record<(typeof scriptVariables)[number], string> = {
    launch_key: quoted(spec.launchKey),
    job_id: quoted(spec.jobId),
    image: quoted(image),
    enroot_image: quoted(enrootImage(image)),
    data_path: quoted(places.dataPath),
    out_path: quoted(places.outPath),
    data: quoted(places.data),
    out: quoted(places.out),
    gpus: String(spec.resources.gpus.count),
    cpus: String(cpus),
    memory_mib: String(spec.resources.memoryMiB),
    minutes: String(minutes),
    stop_seconds: String(fields.stopSeconds),
    working_folder: quoted(folder),
    command: list(command),
    own_command: list(own ?? []),
    container_options: list(fields.containerOptions),
    mounts: list(bindsOf(fields, spec, places)),
    names: list(names),
  };
  const { script } = fields;
  const siteLines = typeof script === 'string' ? script.split('\n') : script;
  const lines = siteLines ?? presets[fields.container ?? 'bare'];
  const [first] = lines;
  const hasShell = first.startsWith('#!');
  return `${[
    hasShell ? first : '#!/bin/bash',
    ...scriptVariables.map((name) => `${name}=${values[name]}`),
    ...head,
    ...(hasShell ? lines.slice(1) : lines),
  ].join('\n')}\n`;
}

// SOURCE:TARGET:ro, as apptainer, pyxis and podman all read it.
function bindsOf(fields: SlurmFields, spec: LaunchSpec, places: Places): string[] {
  const mounts: Mount[] = [
    { source: places.dataPath, target: places.data, readOnly: true },
    { source: places.outPath, target: places.out, readOnly: false },
    ...fields.mounts,
  ];
  for (const path of mounts.flatMap(({ source, target }) => [source, target])) {
    if (fields.container === 'bare' || !/[:,\s"\\]/.test(path)) continue;
    throw new ProblemError(
      'unprocessable',
      `Target "${spec.target.name}": the path ${JSON.stringify(path)} has a colon, comma, space, quote or backslash, which cannot be given to a container; rename it, or link to it by another name.`,
      { errors: [{ pointer: '/target', detail: `cannot mount ${JSON.stringify(path)}` }] },
    );
  }
  return mounts.map(({ source, target, readOnly }) =>
    readOnly ? `${source}:${target}:ro` : `${source}:${target}`,
  );
}
