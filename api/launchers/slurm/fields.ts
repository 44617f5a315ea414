// What a Slurm target says in CW_TARGETS beside what every target says.

import { z } from 'zod';
import type { TrainerKind } from '../../contract/settings.ts';
import type { LaunchTarget } from '../../contract/targets.ts';
import { isLoopback } from '../loopback.ts';
import { ownFields, requireField, targetProblem } from '../target-fields.ts';

const word = z.string().regex(/^[^\s'"]+$/, 'is one word');
const folder = z.string().regex(/^\/[^\n\r]*$/, 'is a path from the root on');
const command = z.array(z.string().min(1)).min(1);
const variable = z.string().regex(/^(?!CW_)[A-Za-z_][A-Za-z0-9_]*$/, 'no name of a variable');

const fieldsSchema = z
  .strictObject({
    /** Whose jobs they are: the user of the token. */
    user: word,
    /** Whether slurmrestd may be asked over plain HTTP although it is on another machine. */
    plainHttp: z.boolean().default(false),
    partition: word,
    account: word.optional(),
    qos: word.optional(),
    reservation: word.optional(),
    constraint: z.string().min(1).optional(),
    /** Version of the REST API; from it follows how a job is asked for. */
    apiVersion: z.string().regex(/^v0\.0\.\d+$/, 'is a version such as "v0.0.38" or "v0.0.42"'),
    /** How the nodes run images; `bare` runs `command` without any. Or the site's own `script`. */
    container: z.enum(['apptainer', 'pyxis', 'podman', 'bare']).optional(),
    script: z.union([z.string().min(1), z.array(z.string()).min(1)]).optional(),
    /** Further arguments of `apptainer exec`, `srun` or `podman run`. */
    containerOptions: z.array(z.string()).default([]),
    /** What is run in the image, per trainer or for all, where it is not what our images run. */
    command: command.optional(),
    commands: z.strictObject({ counterweight: command, nnunet: command }).partial().optional(),
    /** Folder inside the image in which the command is started. */
    workingFolder: folder.optional(),
    /** Besides the images of the dataset and the output. */
    mounts: z
      .array(
        z.strictObject({ source: folder, target: folder, readOnly: z.boolean().default(true) }),
      )
      .default([]),
    /** What Slurm calls a GPU type, where it is not its name in `gpuTypes`; empty: no type. */
    gpuNames: z.record(z.string(), z.union([word, z.literal('')])).default({}),
    /** Where Slurm writes `<launch key>.log`; it must be there, on the nodes. `outputPath` else. */
    logFolder: folder.optional(),
    /** What the script has and the container has not: PATH, settings of the container's engine. */
    shellEnvironment: z.record(variable, z.string()).default({}),
    /** Seconds from SIGTERM to SIGKILL of a podman container; less than the site's KillWait. */
    stopSeconds: z.int().min(1).max(600).default(20),
  })
  .refine(({ container, script }) => (container === undefined) !== (script === undefined), {
    path: ['container'],
    message: 'is missing: apptainer, pyxis, podman or bare; or "script" instead of it',
  })
  .refine((said) => said.container !== 'bare' || said.command || said.commands, {
    path: ['command'],
    message: 'is missing: without a container it has to be said what is run',
  });

/** Fields of one target, with what follows from them. */
export type SlurmFields = z.output<typeof fieldsSchema> & {
  address: string;
  outputPath: string;
  dialect: 'legacy' | 'modern';
};

/** Throws ProblemError `launcher-failed` where CW_TARGETS says what cannot be launched with. */
export function slurmFields(target: LaunchTarget): SlurmFields {
  const address = requireField(target, 'address', 'https://slurm.example.org:6820');
  if (!/^https?:\/\/[^/?#]+\/?$/.test(address)) {
    throw targetProblem(target, 'address', 'is no http:// or https:// address of slurmrestd');
  }
  if (target.credentials === undefined) {
    const what = 'is missing: name the file or variable with the token (scontrol token)';
    throw targetProblem(target, 'credentials', what);
  }
  const outputPath = requireField(target, 'outputPath', '/shared/counterweight/out');
  const fields = ownFields(target, fieldsSchema);
  if (!address.startsWith('https:') && !isLoopback(address) && !fields.plainHttp) {
    const what =
      'is http://, on which tokens travel in the clear: give an https:// address (infra/slurm), or say "plainHttp": true where nobody can listen';
    throw targetProblem(target, 'address', what);
  }
  const dialect = dialectOf(target, fields.apiVersion);
  return { ...fields, address: address.replace(/\/$/, ''), outputPath, dialect };
}

function dialectOf(target: LaunchTarget, apiVersion: string): 'legacy' | 'modern' {
  const minor = Number(apiVersion.split('.')[2]);
  if (minor === 38) return 'legacy';
  if (minor >= 42) return 'modern';
  const what = `is ${apiVersion}, which is not spoken here: v0.0.38 (Slurm 22.05 and 23.02) is, and v0.0.42 (24.11) or later; ask slurmrestd for one of those, it serves several`;
  throw targetProblem(target, 'apiVersion', what);
}

/** What our images run, and where in them. */
const inOurImages: Record<TrainerKind, { command: string[]; folder: string }> = {
  counterweight: { command: ['node', '--import', 'tsx', 'trainer/main.ts'], folder: '/app' },
  nnunet: { command: ['counterweight-nnunet', 'run'], folder: '/' },
};

/** What is run for a trainer, and where; `own` is null where the target does not say it. */
export function commandOf(
  { command: every, commands = {}, workingFolder }: SlurmFields,
  trainer: TrainerKind,
): { command: string[]; own: string[] | null; folder: string } {
  const own = commands[trainer] ?? every ?? null;
  const ours = inOurImages[trainer];
  return { command: own ?? ours.command, own, folder: workingFolder ?? ours.folder };
}
