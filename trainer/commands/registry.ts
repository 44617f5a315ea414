// Every command, by name.

import { alias } from './alias.ts';
import { approve } from './approve.ts';
import { demo } from './demo.ts';
import { diff } from './diff.ts';
import { doctor } from './doctor.ts';
import { explain } from './explain.ts';
import type { AddCommand } from './io.ts';
import { launch } from './launch.ts';
import { lineage } from './lineage.ts';
import { push } from './push.ts';
import { rules } from './rules.ts';
import { scan } from './scan.ts';
import { score } from './score.ts';
import { scores } from './scores.ts';
import { shares } from './shares.ts';
import { snapshot } from './snapshot.ts';
import { split } from './split.ts';
import { tokens } from './tokens.ts';
import { usage } from './usage.ts';
import { verify } from './verify.ts';
import { watch } from './watch.ts';
import { whatIf } from './what-if.ts';
import { withdraw } from './withdraw.ts';

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
  launch,
  watch,
  verify,
  demo,
  tokens,
  doctor,
};
