// The cases of a job on this machine: what the service lists, files checked, loaded when needed.

import { existsSync } from 'node:fs';
import { isAbsolute, join, normalize, sep } from 'node:path';
import type { TrainerCase } from '../api/contract/trainer.ts';
import {
  type CaseFiles,
  caseCache,
  fileSha256,
  type LoadedCase,
  type LoadSettings,
  loadCase,
} from './data.ts';
import { allowedValues, type LabelTask, plainTask } from './labels.ts';
import { requireNifti } from './nifti.ts';
import { exitCodes, TrainerError } from './settings.ts';

/** What the service lists, and where its files lie. */
export type CaseList = {
  /** Validation side, in the order of the service. */
  validation: TrainerCase[];
  /** Files of the training side, in the order of the service. */
  trainingFiles: () => CaseFiles[];
  channelCount: number;
  scoreDecile: (id: string) => number | null;
  filesOf: (id: string) => CaseFiles;
  /** Refuses a snapshot with a case that the job has no files for. */
  mustHave: (ids: string[]) => void;
  /** Compares every file with its SHA-256; `tell` hears of each and may stop the run. */
  checkFiles: (tell: (done: number, count: number) => Promise<void>) => Promise<void>;
};

/** The listed cases, loaded when needed and as the plan says. */
export type Cases = CaseList & {
  loading: LoadSettings;
  load: (id: string) => Promise<LoadedCase>;
};

type Listed = { lines: TrainerCase[]; dataPath: string; channelCount: number };

/** The cases of `lines`, whose files lie under `dataPath`; nothing is read yet. */
export function listCases({ lines, dataPath, channelCount }: Listed): CaseList {
  const byId = new Map(lines.map((line) => [line.id, line]));
  const filesOf = (id: string) => pathsOf(byId.get(id)!, { dataPath, channelCount });
  return {
    validation: lines.filter(({ side }) => side === 'val'),
    trainingFiles: () => lines.filter(({ side }) => side === 'train').map(({ id }) => filesOf(id)),
    channelCount,
    scoreDecile: (id) => byId.get(id)?.scoreDecile ?? null,
    filesOf,
    mustHave: (ids) => {
      const missing = ids.filter((id) => byId.get(id)?.side !== 'train');
      if (missing.length === 0) return;
      const some = missing.slice(0, 5).join(', ');
      throw new TrainerError(
        `the snapshot draws ${missing.length} cases that are not on the training side: ${some}`,
      );
    },
    checkFiles: (tell) => checkFiles(lines, { dataPath, channelCount }, tell),
  };
}

/**
 * The cases of `lines`, loaded on the grid and with the scales of `plan`, or each on its own grid
 * with z-scores; `cacheBytes` of them stay loaded.
 */
export function openCases(
  given: Listed & {
    classCount: number;
    /** What the labels mean; plain classes without it. */
    task?: LabelTask;
    cacheBytes: number;
    plan?: Pick<LoadSettings, 'spacing' | 'normalization'>;
  },
): Cases {
  const { classCount, cacheBytes, plan, task = plainTask(classCount) } = given;
  const list = listCases(given);
  const { ignore } = task;
  const loading = {
    values: allowedValues(task),
    ignore,
    spacing: plan?.spacing,
    normalization: plan?.normalization,
  };
  const load = caseCache((id) => loadCase({ ...list.filesOf(id), ...loading }), cacheBytes);
  return { ...list, loading, load };
}

type Where = { dataPath: string; channelCount: number };

/** Images by their `_0000` number and the label under labelsTr; throws naming what is missing. */
function pathsOf(line: TrainerCase, { dataPath, channelCount }: Where): CaseFiles {
  const paths = line.files.map(({ path }) => path);
  const label = paths.find((path) => path.split('/').includes('labelsTr'));
  const images = Array.from({ length: channelCount }, (_, channel) => {
    const ending = new RegExp(`_${String(channel).padStart(4, '0')}\\.[A-Za-z.]+$`);
    return paths.find((path) => path !== label && ending.test(path));
  });
  if (label === undefined || images.includes(undefined)) {
    throw new TrainerError(
      `case ${line.id} needs ${channelCount} images (_0000 ...) and a label under labelsTr, ` +
        `but has ${paths.join(', ') || 'no files'}`,
    );
  }
  const under = (path: string) => join(dataPath, path);
  return { id: line.id, images: images.map((path) => under(path!)), label: under(label) };
}

async function checkFiles(
  lines: TrainerCase[],
  where: Where,
  tell: (done: number, count: number) => Promise<void>,
): Promise<void> {
  const files = lines.flatMap((line) => line.files.map((file) => ({ ...file, id: line.id })));
  for (const { path, id } of files) {
    const inside = normalize(path);
    if (isAbsolute(path) || inside === '..' || inside.startsWith(`..${sep}`)) {
      throw new TrainerError(`case ${id}: the path ${path} leads out of CW_DATA`);
    }
  }
  for (const line of lines) {
    const { images, label } = pathsOf(line, where);
    for (const path of [...images, label]) refuseOtherFormats(line.id, path);
  }
  for (const [place, { path, sha256, id }] of files.entries()) {
    const whole = join(where.dataPath, path);
    if (!existsSync(whole)) throw new TrainerError(`case ${id}: ${path} is not in CW_DATA`);
    const found = await fileSha256(whole);
    if (found !== sha256) {
      throw new TrainerError(
        `case ${id}: ${path} is another file than the data set's: ` +
          `its SHA-256 is ${found}, not ${sha256}`,
      );
    }
    await tell(place + 1, files.length);
  }
}

function refuseOtherFormats(id: string, path: string): void {
  try {
    requireNifti(path);
  } catch (error) {
    throw new TrainerError(`case ${id}: ${(error as Error).message}`, exitCodes.configuration);
  }
}
