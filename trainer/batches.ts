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
import type { Size } from './nifti.ts';
import { TrainerError } from './settings.ts';

export type Cases = {
  /** Validation side, in the order of the service. */
  validation: TrainerCase[];
  channelCount: number;
  loading: LoadSettings;
  scoreDecile: (id: string) => number | null;
  filesOf: (id: string) => CaseFiles;
  load: (id: string) => Promise<LoadedCase>;
  /** Refuses a snapshot with a case that the job has no files for. */
  mustHave: (ids: string[]) => void;
  /** Compares every file with its SHA-256; `tell` hears of each and may stop the run. */
  checkFiles: (tell: (done: number, count: number) => Promise<void>) => Promise<void>;
  /** Shapes of at most that many training cases. */
  trainingShapes: (most: number) => Promise<Size[]>;
};

/** The cases of `lines`, whose files lie under `dataPath`; `cacheBytes` of them stay loaded. */
export function openCases(given: {
  lines: TrainerCase[];
  dataPath: string;
  channelCount: number;
  classCount: number;
  cacheBytes: number;
}): Cases {
  const { lines, dataPath, channelCount, classCount, cacheBytes } = given;
  const loading = { values: new Set(Array.from({ length: classCount }, (_, value) => value)) };
  const byId = new Map(lines.map((line) => [line.id, line]));
  const filesOf = (id: string) => pathsOf(byId.get(id)!, { dataPath, channelCount });
  const load = caseCache((id) => loadCase({ ...filesOf(id), ...loading }), cacheBytes);
  return {
    validation: lines.filter(({ side }) => side === 'val'),
    channelCount,
    loading,
    scoreDecile: (id) => byId.get(id)?.scoreDecile ?? null,
    filesOf,
    load,
    mustHave: (ids) => {
      const missing = ids.filter((id) => byId.get(id)?.side !== 'train');
      if (missing.length === 0) return;
      const some = missing.slice(0, 5).join(', ');
      throw new TrainerError(
        `the snapshot draws ${missing.length} cases that are not on the training side: ${some}`,
      );
    },
    checkFiles: (tell) => checkFiles(lines, { dataPath, channelCount }, tell),
    trainingShapes: async (most) => {
      const training = lines.filter(({ side }) => side === 'train').slice(0, most);
      const shapes: Size[] = [];
      for (const { id } of training) shapes.push((await load(id)).shape);
      return shapes;
    },
  };
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
  for (const line of lines) pathsOf(line, where);
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
