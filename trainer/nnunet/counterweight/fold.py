"""Whether snapshot, split and files fit together: everything is refused before the first step."""

import os

from .problems import refuse
from .states import file_sha256

_SHOWN = 5


def fold_sides(job, stock):
    """Training and validation ids of a run, from nnU-Net's own `(train, val)` of the fold.

    Raises TrainerError unless the snapshot's cases are exactly the fold's training cases, but for
    those that the snapshot says it excludes. `stock` is None where there is no splits_final.json:
    then the service's split counts.
    """
    if stock is None:
        stock = ([*job.side("train"), *job.snapshot.excluded], job.side("val"))
    train, val = ([str(one) for one in side] for side in stock)
    drawn = set(job.snapshot.ids)
    missing = sorted(set(train) - drawn - job.snapshot.excluded.keys())
    extra = sorted(drawn - set(train))
    if missing:
        refuse(
            f"{_some(missing)} of the fold's {len(train)} training cases are not in the snapshot "
            f"of {len(drawn)}: freeze one for this split and fold (excluded cases are named in it)"
        )
    if extra:
        refuse(f"the snapshot draws {_some(extra)}, not on the training side of the fold")
    if job.cases is not None:
        listed = set(job.side("val"))
        strange = sorted(listed - set(val))
        if strange:
            refuse(f"the service validates on {_some(strange)}, not on the fold's validation side")
        val = [one for one in val if one in listed]
    return list(job.snapshot.ids), val


def _some(ids):
    more = f" and {len(ids) - _SHOWN} more" if len(ids) > _SHOWN else ""
    return f"{', '.join(ids[:_SHOWN])}{more}"


def require_preprocessed(ids, there, folder):
    """Refuses a case without a preprocessed file."""
    missing = sorted(set(ids) - set(there))
    if missing:
        refuse(f"{_some(missing)}: not in {os.path.basename(folder)}; run nnUNetv2_preprocess")


def check_files(job, raw, truths, ending, tell):
    """Compares files with the SHA-256 that the data set has of them; answers how many.

    `raw` is the data set's raw folder or None; `truths` is nnU-Net's gt_segmentations, its own copy
    of the labels, which shows whether the preprocessed cases come from these labels. `tell` is
    called with (done, count) and may stop the run.
    """
    todo = []
    for case_id, case in job.cases.items():
        for file in case["files"]:
            if raw is not None:
                todo.append((case_id, file, os.path.join(raw, _inside(case_id, file["path"]))))
            if "labelsTr" in file["path"].split("/"):
                todo.append((case_id, file, os.path.join(truths, case_id + ending)))
    for done, (case_id, file, path) in enumerate(todo, 1):
        if not os.path.isfile(path):
            refuse(f"case {case_id}: {_shown(path)} is not there")
        found, wanted = file_sha256(path), file["sha256"].removeprefix("sha256:").lower()
        if found != wanted:
            refuse(
                f"case {case_id}: {_shown(path)} is another file than the data set's: "
                f"its SHA-256 is {found}, not {wanted}"
            )
        tell(done, len(todo))
    return len(todo)


def _shown(path):
    return "/".join(path.split(os.sep)[-2:])


def _inside(case_id, path):
    inside = os.path.normpath(path)
    if os.path.isabs(path) or inside.split(os.sep)[0] == "..":
        refuse(f"case {case_id}: the path {path} leads out of CW_DATA")
    return inside
