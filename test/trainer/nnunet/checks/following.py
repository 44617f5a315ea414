"""Plans followed by loaders in any number of processes, folds that do not fit, states beside
checkpoints, and settings of a run without a service.
"""

import json
import os
import tempfile

import numpy as np
import torch
from counterweight.draws import ledger_digest
from counterweight.fold import check_files, fold_sides
from counterweight.job import open_job
from counterweight.loader import PlannedLoader, augmenters
from counterweight.problems import CONFIGURATION, TrainerError
from counterweight.run import Run, planned_digest, with_switch
from counterweight.snapshot import verified_snapshot
from counterweight.states import file_sha256, keep_state, state_of
from made import made_snapshot

IDS = [f"case_{number}" for number in range(7)]


class Loader:
    """Stands for nnU-Net's: takes its ids from get_indices, and uses both random streams."""

    def get_indices(self):
        raise AssertionError("numpy draws")

    def set_thread_id(self, number):
        self.thread_id = number

    def generate_train_batch(self):
        noise = float(np.random.uniform()) + float(torch.rand(1))
        return {"keys": list(self.get_indices()), "noise": noise}

    __next__ = generate_train_batch


class Silent(Loader):
    def generate_train_batch(self):
        return {"keys": []}

    __next__ = generate_train_batch


def epochs_of(workers):
    """Two epochs of five batches, an odd number, of which the first is resumed at its third."""
    snapshot = verified_snapshot(made_snapshot({one: 1 + place for place, one in enumerate(IDS)}))
    loader = PlannedLoader(Loader(), 11, workers)
    train, val = augmenters(loader, Silent(), workers, False)
    batches = []
    try:
        for epoch, start in ((0, 4), (1, 0)):
            plan = snapshot.plan(11, epoch, 10)
            loader.order(epoch, plan, start, 2)
            found = [next(train) for _ in range((10 - start) // 2)]
            drawn = [one for batch in found for one in batch["keys"]]
            assert drawn == plan[start:], (workers, epoch)
            assert ledger_digest(drawn) == ledger_digest(plan[start:])
            batches += found
    finally:
        loader.close()
        for augmenter in (train, val):
            if hasattr(augmenter, "_finish"):
                augmenter._finish()
    return batches


def workers_change_nothing():
    before = np.random.get_state()[1].tolist()
    alone = epochs_of(0)
    assert np.random.get_state()[1].tolist() == before, "the process's own stream was used"
    assert len({batch["noise"] for batch in alone}) == len(alone)
    for workers in (1, 2, 3):
        assert epochs_of(workers) == alone, workers


class Listed:
    """What fold_sides asks of a job."""

    def __init__(self, ids, val=None, excluded=()):
        document = made_snapshot(dict.fromkeys(ids, 1), excluded=excluded)
        self.snapshot = verified_snapshot(document)
        self.cases = None if val is None else {one: {"side": "val"} for one in val}
        if val is not None:
            self.cases |= {one: {"side": "train"} for one in ids}

    def side(self, name):
        return [one for one, case in self.cases.items() if case["side"] == name]


def sentence_of(action):
    try:
        action()
    except TrainerError as error:
        assert error.exit_code == CONFIGURATION
        return str(error)
    raise AssertionError("nothing was refused")


def folds_that_do_not_fit():
    train, val = IDS[:5], IDS[5:]
    assert fold_sides(Listed(train), (train, val)) == (train, val)
    assert fold_sides(Listed(train[1:], excluded=train[:1]), (train, val)) == (train[1:], val)
    assert fold_sides(Listed(train, val), None) == (train, val)
    withdrawn = fold_sides(Listed(train, val[:1]), (train, val))
    assert withdrawn == (train, val[:1])
    missing = sentence_of(lambda: fold_sides(Listed(train[1:]), (train, val)))
    assert missing.startswith("case_0 of the fold's 5 training cases are not in the snapshot")
    extra = sentence_of(lambda: fold_sides(Listed(IDS), (train, val)))
    assert extra.startswith("the snapshot draws case_5, case_6, not on the training side")
    strange = sentence_of(lambda: fold_sides(Listed(train, ["other"]), (train, val)))
    assert "validates on other" in strange


def files_that_changed():
    with tempfile.TemporaryDirectory() as folder:
        for name in ("raw/imagesTr/a_0000.nii.gz", "raw/labelsTr/a.nii.gz", "gt/a.nii.gz"):
            os.makedirs(os.path.dirname(f"{folder}/{name}"), exist_ok=True)
            with open(f"{folder}/{name}", "w", encoding="utf-8") as file:
                file.write("label" if "labelsTr" in name or "gt" in name else "image")
        job = Listed(["a"])
        paths = ("imagesTr/a_0000.nii.gz", "labelsTr/a.nii.gz")
        files = [{"path": one, "sha256": file_sha256(f"{folder}/raw/{one}")} for one in paths]
        job.cases = {"a": {"files": files}}
        seen = []

        def check():
            return check_files(
                job, f"{folder}/raw", f"{folder}/gt", ".nii.gz", lambda *at: seen.append(at)
            )

        assert check() == 3 and seen[-1] == (3, 3)
        with open(f"{folder}/gt/a.nii.gz", "w", encoding="utf-8") as file:
            file.write("another label")
        assert "case a: gt/a.nii.gz is another file" in sentence_of(check)
        os.remove(f"{folder}/raw/imagesTr/a_0000.nii.gz")
        assert "imagesTr/a_0000.nii.gz is not there" in sentence_of(check)
        files[0]["path"] = "../secret"
        assert "leads out of CW_DATA" in sentence_of(check)


def states_belong_to_their_checkpoint():
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/checkpoint_latest.pth"
        for content in ("first", "second"):
            with open(f"{path}.partial", "w", encoding="utf-8") as file:
                file.write(content)
            keep_state(f"{path}.partial", path, {"epoch": content})
            assert state_of(path) == {"epoch": content}
        assert len(os.listdir(folder)) == 2, os.listdir(folder)
        with open(path, "w", encoding="utf-8") as file:
            file.write("another trainer's")
        assert state_of(path) is None


def switches_come_between_epochs():
    planned = [{"digest": "a", "fromEpoch": 0}, {"digest": "b", "fromEpoch": 4}]
    later = with_switch(planned, {"digest": "c", "fromEpoch": 2})
    later = with_switch(later, {"digest": "d", "fromEpoch": 4})
    found = [planned_digest(later, epoch) for epoch in range(6)]
    assert found == ["a", "a", "c", "c", "d", "d"]
    assert planned_digest([], 3) is None


def runs_without_a_service():
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/snapshot.json"
        with open(path, "w", encoding="utf-8") as file:
            json.dump(made_snapshot(dict.fromkeys(IDS, 1)), file)
        said = {"CW_SNAPSHOT": path, "CW_SEED": "4", "CW_SETTINGS": '{"epochs": 2}'}
        job = open_job(said)
        assert (job.seed, job.setting("epochs"), job.cases) == (4, 2, None)
        run = Run(job, folder, print)
        run.shape(2, 4, 1)
        plan = run.begin_epoch()
        assert run.take(plan[:2]) == [1, 1]
        wrong = sentence_with(lambda: run.take(["nobody", plan[1]]), 1)
        assert "but the plan says" in wrong
        fine = {"loss": 1.0, "gradientNorm": 1.0, "rate": 0.1, "seconds": 1.0, "waited": 0.0}
        fine |= {"clipped": False, "skipped": False, "fatal": False}
        for place in (0, 2):
            run.did_step(plan[place : place + 2], [0.5, 0.7], fine)
        run.close_range()
        with open(f"{folder}/counterweight-ledger.ndjson", encoding="utf-8") as file:
            line = json.loads(file.read())
        assert line["digest"] == ledger_digest(plan) and line["seed"] == 4
        for more, what in (
            ({"CW_SEED": "-1"}, "CW_SEED is a whole number"),
            ({"CW_SETTINGS": '{"epoch": 2}'}, "unknown epoch"),
            ({"CW_SETTINGS": "{"}, "CW_SETTINGS is not JSON"),
            ({"CW_SNAPSHOT": f"{folder}/none.json"}, "cannot be read"),
            ({"CW_API": "http://127.0.0.1:1"}, "both set"),
            ({"CW_SNAPSHOT": f"{folder}/counterweight-ledger.ndjson"}, "lacks digest"),
            ({"CW_SNAPSHOT": "", "CW_API": "http://127.0.0.1:1"}, "CW_JOB, CW_TOKEN not set"),
        ):
            assert what in sentence_of(lambda more=more: open_job({**said, **more})), what


def ten_steps_that_are_not_finite_end_a_run():
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/snapshot.json"
        with open(path, "w", encoding="utf-8") as file:
            json.dump(made_snapshot(dict.fromkeys(IDS, 1)), file)
        run = Run(open_job({"CW_SNAPSHOT": path}), folder, print)
        run.shape(1, 20, 1)
        plan = run.begin_epoch()
        broken = {"loss": float("nan"), "gradientNorm": float("nan"), "rate": 0.1, "seconds": 1.0}
        broken |= {"waited": 0.0, "clipped": False, "skipped": True, "fatal": True}
        for place in range(9):
            run.did_step(plan[place : place + 1], [float("nan")], broken)
        last = sentence_with(lambda: run.did_step(plan[9:10], [float("nan")], broken), 1)
        assert last == "instability: 10 steps in a row were not finite"


def sentence_with(action, code):
    try:
        action()
    except TrainerError as error:
        assert error.exit_code == code
        return str(error)
    raise AssertionError("nothing was refused")
