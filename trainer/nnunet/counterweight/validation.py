"""Validation over whole volumes, uniform and never weighted (METHOD.md section 9): rounds during
training in the space of the preprocessed cases, the final one from nnU-Net's own summary.json.
"""

import json
import math
import os
from contextlib import contextmanager

import numpy as np
import torch
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from nnunetv2.utilities.label_handling.label_handling import convert_labelmap_to_one_hot

from .figures import CaseResult
from .loss import compound_of


def class_names(trainer):
    """Names of what Dice is reported of, in nnU-Net's order: classes, or regions."""
    manager = trainer.label_manager
    wanted = manager.foreground_regions if manager.has_regions else manager.foreground_labels
    named = {_key(value): name for name, value in trainer.dataset_json["labels"].items()}
    return [named.get(_key(value), str(value)) for value in wanted]


def _key(value):
    return tuple(value) if isinstance(value, (list, tuple)) else (int(value),)


def validation_round(trainer, ids, tell):
    """Predicts whole cases with the network as it is; answers a CaseResult for each.

    `tell` is called before each case, and may raise to stop the run.
    """
    predictor = nnUNetPredictor(
        perform_everything_on_device=trainer.device.type == "cuda",
        device=trainer.device,
        allow_tqdm=False,
    )
    predictor.manual_initialization(
        trainer.network,
        trainer.plans_manager,
        trainer.configuration_manager,
        None,
        trainer.dataset_json,
        type(trainer).__name__,
        trainer.inference_allowed_mirroring_axes,
    )
    results = []
    with _judged(trainer), torch.no_grad():
        for case_id in ids:
            tell()
            data, truth = _volume(trainer, case_id)
            logits = predictor.predict_sliding_window_return_logits(data).float().cpu()
            loss = float(compound_of(trainer.loss.stock)(logits[None], truth[None]))
            loss += trainer.loss.offset
            results.append(CaseResult(case_id, _counts(trainer, logits, truth), loss))
    return results


@contextmanager
def _judged(trainer):
    """Evaluation mode without deep supervision and without compiled Dice, for a moment."""
    compound = compound_of(trainer.loss.stock)
    compiled = compound.dc
    compound.dc = getattr(compiled, "_orig_mod", compiled)
    trainer.set_deep_supervision_enabled(False)
    trainer.network.eval()
    try:
        yield
    finally:
        compound.dc = compiled
        trainer.set_deep_supervision_enabled(trainer.enable_deep_supervision)
        trainer.network.train()


def _volume(trainer, case_id):
    """Image [channels, z, y, x] and target as the loss wants it, of one preprocessed case."""
    dataset = trainer.dataset_class(
        trainer.preprocessed_dataset_folder,
        [case_id],
        folder_with_segs_from_previous_stage=trainer.folder_with_segs_from_previous_stage,
    )
    data, seg, seg_prev, _ = dataset.load_case(case_id)
    data, seg = np.array(data[:]), np.array(seg[:])
    if trainer.is_cascaded:
        manager = trainer.label_manager
        hot = convert_labelmap_to_one_hot(seg_prev[:], manager.foreground_labels, data.dtype)
        data = np.vstack((data, hot))
    manager = trainer.label_manager
    transforms = trainer.get_validation_transforms(
        None,
        is_cascaded=False,
        foreground_labels=manager.foreground_labels,
        regions=manager.foreground_regions if manager.has_regions else None,
        ignore_label=manager.ignore_label,
    )
    image, target = torch.from_numpy(data), torch.from_numpy(seg.astype(np.int16))
    return image, transforms(image=image, segmentation=target)["segmentation"]


def _counts(trainer, logits, truth):
    """Voxels (predicted, true, both) per class or region, without ignored ones."""
    manager = trainer.label_manager
    if manager.has_regions:
        found = torch.sigmoid(logits) > 0.5
        there = truth[: len(found)].bool()
        kept = ~truth[-1].bool() if manager.has_ignore_label else torch.ones_like(found[0])
    else:
        likeliest = logits.argmax(0)
        values = range(1, len(logits))
        found = torch.stack([likeliest == value for value in values])
        there = torch.stack([truth[0] == value for value in values])
        ignored = manager.ignore_label if manager.has_ignore_label else -1
        kept = truth[0] != ignored
    return [
        (int((one & kept).sum()), int((true & kept).sum()), int((one & true & kept).sum()))
        for one, true in zip(found, there)
    ]


def summary_results(path, ending):
    """The CaseResults of nnU-Net's summary.json, whose files end as `ending` says.

    Only the base names of its paths are used: a path may hold a patient's name.
    """
    with open(path, encoding="utf-8") as file:
        summary = json.load(file)
    return [
        CaseResult(
            os.path.basename(case["reference_file"]).removesuffix(ending),
            [_summary_counts(metrics) for metrics in case["metrics"].values()],
        )
        for case in summary["metric_per_case"]
    ]


def _summary_counts(metrics):
    both = metrics["TP"]
    counts = (metrics["n_pred"], metrics["n_ref"], both)
    return tuple(0 if math.isnan(count) else int(count) for count in counts)
