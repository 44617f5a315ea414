// A target on a cluster of slurm-cluster.ts whose scripts run the trainer's image by podman.

import { inject } from 'vitest';
import type { Places } from './lab.ts';
import type { Podman } from './podman.ts';

/** All of it but name, address and credentials. */
export function slurmTarget(
  { environment }: Podman,
  { images, outputs, dataset }: Pick<Places, 'images' | 'outputs' | 'dataset'>,
): object {
  return {
    engine: 'slurm',
    apiVersion: 'v0.0.38',
    user: 'root',
    partition: 'gpu',
    container: 'podman',
    containerOptions: ['--runtime', 'runc', '--network', 'host', '--memory', '1500m'],
    shellEnvironment: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', ...environment },
    images: [inject('image').pinned],
    dataPaths: { [dataset]: images },
    outputPath: outputs,
    gpuTypes: ['h200'],
    pollSeconds: 2,
  };
}
