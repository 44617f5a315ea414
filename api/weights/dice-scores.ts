// One number per case out of nnU-Net's validation summary: the mean Dice over the foreground.

import type { Summary } from '../contract/scores.ts';
import type { Fault } from './case-table.ts';
import { sumOf } from './sums.ts';

const endings = /\.(nii\.gz|nii|nrrd|mha|mhd|gipl|png|bmp|tiff?|jpe?g|b2nd|npz|npy|h5)$/i;

/** The case id in a path of a segmentation: its file name without the ending of an image. */
export function caseIdOfFile(path: string): string {
  const name = path.slice(Math.max(path.lastIndexOf('/'), path.lastIndexOf('\\')) + 1);
  return name.replace(endings, '');
}

export type DiceScore = { caseId: string; dice: number | null; pointer: string };

/**
 * The foreground mean Dice (0 to 1) of every case of a summary: over all labels and regions but
 * the background "0", leaving out those without a Dice (absent from prediction and reference);
 * null where none has one. A fault for each Dice outside of 0 to 1.
 */
export function diceScores(summary: Summary): { scores: DiceScore[]; faults: Fault[] } {
  const scores: DiceScore[] = [];
  const faults: Fault[] = [];
  for (const [k, { metrics, ...files }] of summary.metric_per_case.entries()) {
    const caseId = caseIdOfFile((files.prediction_file ?? files.reference_file) as string);
    const pointer = `/metric_per_case/${k}`;
    const known: number[] = [];
    for (const [label, { Dice: dice }] of Object.entries(metrics)) {
      if (label === '0' || dice === null) continue;
      known.push(dice);
      if (dice >= 0 && dice <= 1) continue;
      const detail = `case "${caseId}" has a Dice of ${dice} for label ${label}; a Dice is 0 to 1`;
      faults.push({ caseId, pointer: `${pointer}/metrics/${label}/Dice`, detail });
    }
    const dice = known.length === 0 ? null : sumOf(known.length, (j) => known[j]) / known.length;
    scores.push({ caseId, dice, pointer });
  }
  return { scores, faults };
}
