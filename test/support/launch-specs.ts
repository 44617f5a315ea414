// What a service tells a launcher of an attempt, for tests of launchers alone.

import { resourcesSchema } from '../../api/contract/settings.ts';
import { type LaunchTarget, launchTargetsSchema } from '../../api/contract/targets.ts';
import type { LaunchSpec } from '../../api/launchers/launcher.ts';

/** One target as CW_TARGETS would say it. */
export function targetOf(fields: Record<string, unknown>): LaunchTarget {
  return launchTargetsSchema.parse([{ name: 'target', ...fields }])[0];
}

/** An attempt on a target; `given` overrides what it says. */
export function specOf(
  target: LaunchTarget,
  given: Partial<Omit<LaunchSpec, 'resources'>> & { resources?: object } = {},
): LaunchSpec {
  return {
    launchKey: 'cw-01jd8z4n5v6w7x8y9zabcdefgh-1',
    jobId: '01jd8z4n5v6w7x8y9zabcdefgh',
    image: target.images[0] ?? null,
    trainer: 'counterweight',
    api: 'https://weights.example.org',
    dataset: 'liver',
    dataPath: target.dataPaths.liver ?? '/data/liver',
    target,
    ...given,
    resources: resourcesSchema.parse({ ...target.defaults, ...given.resources }),
  };
}
