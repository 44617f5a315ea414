"""A small part of a real data set, planned and preprocessed by nnU-Net itself.

python data.py SOURCE FOLDER CASES: FOLDER gets raw/, preprocessed/ with the stock plans, and a copy
of them named `small`, whose network and patch suit two cores.
"""

import json
import os
import subprocess
import sys

import numpy as np
from nnunetv2.utilities.crossval_split import generate_crossval_split

NAME = "Dataset004_Hippocampus"


def link_cases(source, raw, count):
    """The first cases of a raw folder, as links; dataset.json counts them anew."""
    ids = sorted(file.removesuffix(".nii.gz") for file in os.listdir(f"{source}/labelsTr"))
    ids = [one for one in ids if not one.startswith(".")][:count]
    for folder, ending in (("imagesTr", "_0000.nii.gz"), ("labelsTr", ".nii.gz")):
        os.makedirs(f"{raw}/{folder}")
        for one in ids:
            os.symlink(f"{source}/{folder}/{one}{ending}", f"{raw}/{folder}/{one}{ending}")
    with open(f"{source}/dataset.json", encoding="utf-8") as file:
        described = json.load(file)
    with open(f"{raw}/dataset.json", "w", encoding="utf-8") as file:
        json.dump({**described, "numTraining": len(ids)}, file)
    return ids


def small_plans(folder):
    """The stock plans with three levels of few channels; batch size 2, as nnU-Net planned it."""
    with open(f"{folder}/nnUNetPlans.json", encoding="utf-8") as file:
        plans = json.load(file)
    plans["plans_name"] = "small"
    configuration = plans["configurations"]["3d_fullres"]
    configuration["patch_size"] = [24, 32, 24]
    configuration["batch_size"] = 2
    network = configuration["architecture"]["arch_kwargs"]
    for name in ("kernel_sizes", "strides"):
        network[name] = network[name][:3]
    network |= {
        "n_stages": 3,
        "features_per_stage": [4, 8, 16],
        "n_conv_per_stage": [1, 1, 1],
        "n_conv_per_stage_decoder": [1, 1],
    }
    with open(f"{folder}/small.json", "w", encoding="utf-8") as file:
        json.dump(plans, file)


def main(source, folder, count):
    """Makes everything; the split is nnU-Net's own."""
    raw, preprocessed = f"{folder}/raw/{NAME}", f"{folder}/preprocessed/{NAME}"
    ids = link_cases(source, raw, int(count))
    environment = {
        **os.environ,
        "nnUNet_raw": f"{folder}/raw",
        "nnUNet_preprocessed": f"{folder}/preprocessed",
        "nnUNet_results": f"{folder}/results",
    }
    command = [os.path.join(os.path.dirname(sys.executable), "nnUNetv2_plan_and_preprocess")]
    command += ["-d", "4", "-c", "3d_fullres", "-np", "2", "-npfp", "2"]
    subprocess.run(command, env=environment, check=True, stdout=sys.stderr)
    small_plans(preprocessed)
    splits = generate_crossval_split(list(np.sort(ids)), seed=12345, n_splits=5)
    for place in (f"{preprocessed}/splits_final.json", f"{raw}/splits_final.json"):
        with open(place, "w", encoding="utf-8") as file:
            json.dump(splits, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
