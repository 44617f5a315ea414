// The lines of the batch script that run the trainer: by apptainer, pyxis, podman, or bare. They
// are bash over the variables that script.ts sets.
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: they are the shell's

import type { SlurmFields } from './fields.ts';

/** A job through REST has no home and no CUDA_VISIBLE_DEVICES but what Slurm gave it. */
export const head = [
  'if [ -z "${HOME:-}" ]; then HOME=$(getent passwd "$(id -u)" | cut -d: -f6); export HOME; fi',
  'if [ -n "${CUDA_VISIBLE_DEVICES:-}" ]; then names+=(CUDA_VISIBLE_DEVICES); fi',
  'mkdir -p -- "$out_path" || exit 78',
];

/** The lines of each preset, after `head`. */
export const presets: Record<NonNullable<SlurmFields['container']>, string[]> = {
  bare: ['exec "${command[@]}"'],
  apptainer: [
    'options=(--cleanenv --no-home --pwd "$working_folder")',
    'for mount in "${mounts[@]}"; do options+=(--bind "$mount"); done',
    'if [ "$gpus" -gt 0 ]; then options+=(--nv); fi',
    '# By name: a value among the arguments could be read by everybody on the node.',
    'for name in "${names[@]}"; do',
    '  export "APPTAINERENV_$name=${!name}" "SINGULARITYENV_$name=${!name}"',
    'done',
    'exec apptainer exec "${options[@]}" "${container_options[@]}" "docker://$image" "${command[@]}"',
  ],
  pyxis: [
    'IFS=,',
    'options=(--ntasks=1 "--cpus-per-task=$cpus" --no-container-mount-home)',
    'options+=("--container-image=$enroot_image" "--container-workdir=$working_folder")',
    'options+=("--container-mounts=${mounts[*]}" "--container-env=${names[*]}")',
    'unset IFS',
    'exec srun "${options[@]}" "${container_options[@]}" "${command[@]}"',
  ],
  podman: [
    'options=(--rm --name "$launch_key" --timeout "$((minutes * 60 + 60))")',
    'options+=(--read-only --tmpfs /tmp:rw,exec,nosuid,nodev --cap-drop all)',
    'options+=(--security-opt no-new-privileges --user "$(id -u):$(id -g)")',
    'if [ "$(id -u)" -ne 0 ]; then options+=(--userns keep-id); fi',
    'for mount in "${mounts[@]}"; do options+=(--volume "$mount"); done',
    'for name in "${names[@]}"; do options+=(--env "$name"); done',
    'if [ "$gpus" -gt 0 ]; then options+=(--device nvidia.com/gpu=all); fi',
    'if [ "${#own_command[@]}" -gt 0 ]; then',
    '  options+=(--entrypoint "" --workdir "$working_folder")',
    'fi',
    '# Slurm tells every process of the job to end, podman too, and what it would pass on is lost. So',
    '# the script ends the container: first by SIGTERM, and by SIGKILL before Slurm kills the script.',
    '# The output goes on without podman; "timeout" ends what might be left even so.',
    'options+=(--sig-proxy=false --log-driver passthrough)',
    'finish() {',
    "  trap '' TERM",
    '  podman stop --ignore --time "$stop_seconds" "$launch_key"',
    '  kill "$client"',
    '  wait "$client"',
    '  podman rm --force --ignore "$launch_key"',
    '  exit "$1"',
    '} > /dev/null 2>&1',
    "trap 'finish 143' TERM",
    'podman run "${options[@]}" "${container_options[@]}" "$image" "${own_command[@]}" &',
    'client=$!',
    'wait "$client"',
    'code=$?',
    '# Ended by a signal: podman itself perhaps, which heard Slurm first, and not the trainer.',
    'if [ "$code" -gt 128 ]; then finish "$code"; fi',
    'exit "$code"',
  ],
};
