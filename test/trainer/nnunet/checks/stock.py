"""The trainer class beside nnU-Net's own, on real preprocessed cases and the small network."""

import json
import os
import tempfile
from contextlib import contextmanager

import numpy as np
import torch
from batchgenerators.utilities.file_and_folder_operations import load_json
from counterweight.main import trainer_folder
from made import made_snapshot
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunetv2.utilities.find_objects import recursive_find_trainer_class_by_name

BASE = os.path.join(os.environ["nnUNet_preprocessed"], "Dataset004_Hippocampus")
TRAIN = load_json(os.path.join(BASE, "splits_final.json"))[0]["train"]
os.environ["nnUNet_extTrainer"] = trainer_folder()
SMALL = {"epochs": 2, "drawsPerEpoch": 6, "nnunet": {"workers": 0, "validationBatches": 1}}


def made(trainer_class, plans=None, fold=0):
    plans = plans or load_json(os.path.join(BASE, "small.json"))
    torch.manual_seed(3)
    return trainer_class(
        plans={**plans, "continue_training": False},
        configuration="3d_fullres",
        fold=fold,
        dataset_json=load_json(os.path.join(BASE, "dataset.json")),
        device=torch.device("cpu"),
    )


@contextmanager
def following(document, settings=None):
    """Environment of a run by a snapshot document, in a results folder of its own."""
    before = dict(os.environ)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "snapshot.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(document, file)
        os.environ |= {"CW_SNAPSHOT": path, "CW_SEED": "5", "nnUNet_results": folder}
        os.environ["CW_SETTINGS"] = json.dumps({**SMALL, **(settings or {})})
        try:
            yield recursive_find_trainer_class_by_name("CounterweightTrainer")
        finally:
            os.environ.clear()
            os.environ |= before


def uniform():
    return made_snapshot(dict.fromkeys(TRAIN, 1))


def uneven():
    shares = {one: 1 + place % 3 for place, one in enumerate(TRAIN)}
    total = sum(shares.values())
    return made_snapshot(shares, {one: total / len(shares) / shares[one] for one in shares})


def steps_with_factors_of_one_are_stock_steps():
    """Losses and parameters of three steps on the same batches, to float precision."""
    with following(uniform()) as trainer_class:
        stock, ours = made(nnUNetTrainer), made(trainer_class)
        for trainer in (stock, ours):
            torch.manual_seed(7)
            trainer.initialize()
        assert type(ours.network) is type(stock.network)
        ours.on_train_start()
        ours.on_train_epoch_start()
        stock.network.train()
        compared = 0
        for _ in range(ours.num_iterations_per_epoch):
            batch = next(ours.dataloader_train)
            expected = stock.train_step(batch)["loss"]
            np.testing.assert_allclose(ours.train_step(batch)["loss"], expected, rtol=2e-6)
            pairs = zip(ours.network.parameters(), stock.network.parameters())
            for one, other in pairs:
                torch.testing.assert_close(one, other, rtol=1e-4, atol=2e-6)
            compared += 1
        assert compared == 3
        data, target = batch["data"], batch["target"]
        ours.network.eval(), stock.network.eval()
        with torch.no_grad():
            found = ours.loss(ours.network(data), target)
            torch.testing.assert_close(found, stock.loss(stock.network(data), target))


def factors_reach_the_loss_once():
    with following(uneven()) as trainer_class:
        ours = made(trainer_class)
        ours.on_train_start()
        ours.on_train_epoch_start()
        batch = next(ours.dataloader_train)
        factors = [ours.counterweight.snapshot.loss_factor(one) for one in batch["keys"]]
        assert len(set(factors)) > 1 or factors[0] != 1
        with torch.no_grad():
            output = ours.network(batch["data"])
            target = batch["target"]
            losses = [
                ours.loss.stock([o[b : b + 1] for o in output], [t[b : b + 1] for t in target])
                for b in range(len(factors))
            ]
        expected = sum(factor * float(one) for factor, one in zip(factors, losses)) / len(factors)
        found = float(ours.train_step(batch)["loss"])
        assert abs(found - expected) < 1e-5, (found, expected)


def a_step_that_is_not_finite_changes_nothing():
    with following(uneven()) as trainer_class:
        ours = made(trainer_class)
        ours.on_train_start()
        ours.on_train_epoch_start()
        batch = next(ours.dataloader_train)
        before = [one.detach().clone() for one in ours.network.parameters()]
        batch["data"][0, 0, 0, 0, 0] = float("nan")
        assert np.isnan(ours.train_step(batch)["loss"])
        for one, other in zip(before, ours.network.parameters()):
            assert torch.equal(one, other)
        assert ours.counterweight.progress["step"] == 1
        assert np.isfinite(ours.train_step(next(ours.dataloader_train))["loss"])


def a_stopped_run_goes_on_with_the_same_draws():
    """Stopped in an epoch's middle: the checkpoint says where, the ledger has both parts."""
    with following(uneven()) as trainer_class:
        first = made(trainer_class)
        step = first.train_step

        def stopping(batch):
            result = step(batch)
            first.counterweight.stop_signal = first.counterweight.progress["step"] == 4
            return result

        first.train_step = stopping
        assert exit_code(first.run_training) == 143
        second = made(trainer_class)
        second.load_checkpoint(os.path.join(second.output_folder, "checkpoint_latest.pth"))
        progress = second.counterweight.progress
        assert (progress["epoch"], progress["drawsDone"], progress["step"]) == (1, 2, 4)
        second.run_training()
        assert second.counterweight.progress["step"] == 6
        with open(os.path.join(first.output_folder, "counterweight-ledger.ndjson")) as file:
            lines = [json.loads(line) for line in file]
        found = [(line["epoch"], line["from"], line["draws"]) for line in lines]
        assert found == [(0, 0, 6), (1, 0, 2), (1, 2, 4)], found
        path = os.path.join(second.output_folder, "checkpoint_final.pth")
        longer = json.dumps({**SMALL, "drawsPerEpoch": 8})
        for name, value, sentence in (
            ("CW_SEED", "6", "of seed 5"),
            ("CW_SETTINGS", longer, "of drawsPerEpoch 6"),
        ):
            before, os.environ[name] = os.environ[name], value
            third = made(trainer_class)
            assert exit_code(lambda third=third: third.load_checkpoint(path)) == 64
            assert sentence in log_of(third), sentence
            os.environ[name] = before
        with open(os.environ["CW_SNAPSHOT"], "w", encoding="utf-8") as file:
            json.dump(uniform(), file)
        third = made(trainer_class)
        assert exit_code(lambda: third.load_checkpoint(path)) == 64
        assert "the checkpoint is of snapshot" in log_of(third)


def a_run_stopped_while_it_validates_goes_on():
    """After the last step of the second epoch, before its end: nothing is drawn twice."""
    with following(uneven(), {"epochs": 3, "validateEvery": 1}) as trainer_class:
        first = made(trainer_class)
        step = first.train_step

        def stopping(batch):
            result = step(batch)
            first.counterweight.stop_signal = first.counterweight.progress["step"] == 6
            return result

        first.train_step = stopping
        assert exit_code(first.run_training) == 143
        second = made(trainer_class)
        second.load_checkpoint(os.path.join(second.output_folder, "checkpoint_latest.pth"))
        second.run_training()
        assert second.counterweight.progress["step"] == 9
        with open(os.path.join(first.output_folder, "counterweight-ledger.ndjson")) as file:
            lines = [json.loads(line) for line in file]
        found = [(line["epoch"], line["from"], line["draws"]) for line in lines]
        assert found == [(0, 0, 6), (1, 0, 6), (2, 0, 6)], found


def what_cannot_be_run_is_refused():
    plans = load_json(os.path.join(BASE, "small.json"))
    whole = json.loads(json.dumps(plans))
    whole["configurations"]["3d_fullres"]["batch_dice"] = True
    altered = uneven()
    altered["cases"][0]["lossFactor"] = 1.25
    fewer = made_snapshot(dict.fromkeys(TRAIN[1:], 1))
    tried = [
        (uneven(), whole, 0, {}, "batch_dice"),
        (uneven(), plans, 1, {}, "of fold 0, but nnU-Net was started with 1"),
        (uneven(), plans, 0, {"drawsPerEpoch": 7}, "no multiple of the batch size 2"),
        (fewer, plans, 0, {}, "are not in the snapshot"),
    ]
    for document, given, fold, settings, sentence in tried:
        with following(document, settings) as trainer_class:
            trainer = made(trainer_class, given, fold)
            assert exit_code(trainer.on_train_start) == 64
            assert sentence in log_of(trainer), sentence
    with following(altered) as trainer_class:
        trainer = made(trainer_class)
        assert exit_code(trainer.on_train_start) == 1
        assert "was altered on the way" in log_of(trainer)
    with following(uneven(), {"allowBatchDice": True}) as trainer_class:
        trainer = made(trainer_class, whole)
        trainer.initialize()
        assert "inexact" in log_of(trainer) and trainer.loss.batch_dice


def without_a_snapshot_it_does_not_train():
    with following(uneven()) as trainer_class:
        del os.environ["CW_SNAPSHOT"]
        trainer = made(trainer_class)
        trainer.initialize()
        assert type(trainer.loss).__name__ == "DeepSupervisionWrapper"
        assert exit_code(trainer.on_train_start) == 64
        assert "nothing to follow" in log_of(trainer)


def exit_code(action):
    try:
        action()
    except SystemExit as ended:
        return ended.code
    raise AssertionError("it went on")


def log_of(trainer):
    with open(trainer.log_file, encoding="utf-8") as file:
        return file.read()
