// Every command, by name.

import { agent } from './agent.ts';
import { alias } from './alias.ts';
import { approve } from './approve.ts';
import { cancel } from './cancel.ts';
import { demo } from './demo.ts';
import { diff } from './diff.ts';
import { doctor } from './doctor.ts';
import { explain } from './explain.ts';
import { github } from './github.ts';
import { gpuHours } from './gpu-hours.ts';
import type { AddCommand } from './io.ts';
import { jobs } from './jobs.ts';
import { launch } from './launch.ts';
import { lineage } from './lineage.ts';
import { push } from './push.ts';
import { retry } from './retry.ts';
import { rules } from './rules.ts';
import { scan } from './scan.ts';
import { score } from './score.ts';
import { scores } from './scores.ts';
import { shares } from './shares.ts';
import { snapshot } from './snapshot.ts';
import { split } from './split.ts';
import { targets } from './targets.ts';
import { tokens } from './tokens.ts';
import { usage } from './usage.ts';
import { verify } from './verify.ts';
import { watch } from './watch.ts';
import { webhooks } from './webhooks.ts';
import { whatIf } from './what-if.ts';
import { withdraw } from './withdraw.ts';
import { workspaces } from './workspaces.ts';

export const commands: Record<string, AddCommand> = {
  scan,
  push,
  rules,
  score,
  scores,
  'what-if': whatIf,
  snapshot,
  diff,
  explain,
  shares,
  split,
  lineage,
  approve,
  alias,
  withdraw,
  usage,
  'gpu-hours': gpuHours,
  targets,
  launch,
  watch,
  jobs,
  cancel,
  retry,
  verify,
  demo,
  agent,
  tokens,
  workspaces,
  github,
  webhooks,
  doctor,
};
