// nnU-Net's summary.json as tests need it, with the bare NaN of Python where a label is absent.

/** The text of a summary: per case one Dice a label, null for a label that is absent. */
export function summaryText(cases: Record<string, (number | null)[]>): string {
  const all = Object.entries(cases).map(([id, dice]) => {
    const metrics = dice.map((value, k) => {
      const key = k === 0 ? '"1"' : `"(1, ${k + 1})"`;
      return `${key}: {"Dice": ${value ?? 'NaN'}, "IoU": ${value ?? 'NaN'}, "TP": 7, "n_ref": 9}`;
    });
    return `{"metrics": {"0": {"Dice": 0.999, "IoU": 0.99}, ${metrics.join(', ')}},
      "prediction_file": "/out/fold/validation/${id}.nii.gz",
      "reference_file": "/raw/labelsTr/${id}.nii.gz"}`;
  });
  return `{"foreground_mean": {"Dice": NaN}, "mean": {}, "metric_per_case": [${all.join(',\n')}]}`;
}
