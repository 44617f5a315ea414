"""One run: which draws come next, what was drawn, and what the service hears of it."""

import json
import os
import time

from .figures import EpochFigures, dice_of, validation_metrics
from .local_record import LocalRecord
from .problems import FAILED, REVOKED, STOPPED, TrainerError, refuse
from .reporter import Reporter
from .snapshot import ledger_range

_MOST_SKIPPED = 10


class Run:
    """Follows the plan of a job, epoch by epoch. `folder` is where its own small files go."""

    def __init__(self, job, folder, say):
        self.job, self.folder = job, folder
        self._say = say
        self.snapshot = job.snapshot
        self.batch_size = self.draws_per_epoch = self.epochs = None  # until `shape`
        self.progress = {
            "job": job.id,
            "seed": job.seed,
            "epoch": 0,
            "drawsDone": 0,
            "step": 0,
            "seconds": 0.0,
            "snapshot": job.snapshot.digest,
            "nextSnapshot": None,
        }
        self._planned = list(job.planned)
        self._plan, self._from, self._figures = [], 0, None
        self._skipped_in_a_row = 0
        self.stop_signal = False
        self.trained = False
        self._finished = False
        if job.service is None:
            self.reporter = LocalRecord(folder, job.seed)
        else:
            self.reporter = Reporter(job.service, folder, job.attempt, job.next_sequence)

    def __repr__(self):
        return f"Run({self.job}, epoch {self.progress['epoch']})"

    def shape(self, batch_size, draws_per_epoch, epochs):
        """Says how long an epoch and the run are; a checkpoint is of one shape of epoch only."""
        self.batch_size, self.draws_per_epoch, self.epochs = batch_size, draws_per_epoch, epochs
        self.progress |= {"batchSize": batch_size, "drawsPerEpoch": draws_per_epoch}

    def begin_epoch(self):
        """Takes up the snapshot that is planned for the epoch, and plans it; answers the plan.

        An epoch that was begun before a stop is ended by the snapshot that it began with.
        """
        progress = self.progress
        if progress["drawsDone"] == 0:
            self._switch(progress["epoch"])
        elif progress["snapshot"] != self.snapshot.digest:
            self.snapshot = self._fetched(progress["snapshot"])
        self._plan = self.snapshot.plan(self.job.seed, progress["epoch"], self.draws_per_epoch)
        self._from = progress["drawsDone"]
        self._figures = EpochFigures(self._decile_of)
        return self._plan

    def _decile_of(self, case_id):
        return (self.job.cases or {}).get(case_id, {}).get("scoreDecile")

    def _switch(self, epoch):
        progress = self.progress
        following = progress["nextSnapshot"]
        if following and following["fromEpoch"] <= epoch:
            progress["nextSnapshot"] = None
        digest = planned_digest(self._planned, epoch) or progress["snapshot"]
        if digest != self.snapshot.digest:
            self.snapshot = self._fetched(digest)
        if digest != progress["snapshot"]:
            self._say(f"epoch {epoch}: snapshot {progress['snapshot']} -> {digest}")
        progress["snapshot"] = digest

    def _fetched(self, digest):
        snapshot = self.job.service.snapshot(digest)
        if snapshot.ids != self.job.snapshot.ids:
            raise TrainerError(f"snapshot {digest} has other cases than this run began with")
        return snapshot

    def check(self):
        """Raises where the run should end: on a signal, on request, or when it was revoked."""
        if self.reporter.failed:
            raise self.reporter.failed
        if self.stop_signal:
            raise TrainerError("stopped by SIGTERM", STOPPED)
        if self.reporter.stop:
            raise TrainerError("stopped on request", STOPPED)

    def take(self, drawn):
        """Notes the cases of a batch. Raises TrainerError unless they are the plan's next."""
        place = self.progress["drawsDone"]
        planned = self._plan[place : place + self.batch_size]
        if list(drawn) != planned:
            raise TrainerError(
                f"draws {place} ... of epoch {self.progress['epoch']} are {', '.join(drawn)}, "
                f"but the plan says {', '.join(planned)}"
            )
        return [self.snapshot.loss_factor(one) for one in planned]

    def did_step(self, drawn, losses, result):
        """Counts a step: `result` is `corrected_step`'s, with rate, seconds and waited."""
        progress = self.progress
        progress["drawsDone"] += len(drawn)
        progress["step"] += 1
        progress["seconds"] += result["seconds"]
        self._figures.add(
            drawn,
            losses,
            result["clipped"],
            result["skipped"],
            result["rate"],
            result["seconds"],
            result["waited"],
        )
        at = {"step": progress["step"], "epoch": progress["epoch"]}
        metrics = [{"name": name, "value": result[name], **at} for name in ("loss", "gradientNorm")]
        if result["fatal"]:
            metrics.append({"name": "nonFinite", "value": 1, **at})
        self.reporter.add(metrics, progress={"step": progress["step"], "steps": self.steps})
        self._skipped_in_a_row = self._skipped_in_a_row + 1 if result["fatal"] else 0
        if self._skipped_in_a_row >= _MOST_SKIPPED:
            raise TrainerError(f"instability: {_MOST_SKIPPED} steps in a row were not finite")

    @property
    def steps(self):
        """Steps of the whole run."""
        return self.epochs * self.draws_per_epoch // self.batch_size

    def close_range(self):
        """Reports what was drawn since this attempt took up the epoch: ledger, losses, figures."""
        progress, start = self.progress, self._from
        drawn = self._plan[start : progress["drawsDone"]]
        if not drawn:
            return
        epoch = progress["epoch"]
        self._from = progress["drawsDone"]
        self.reporter.add(
            self._figures.metrics(progress["step"], epoch),
            self._figures.case_losses(epoch, start),
            [ledger_range(self.snapshot, epoch, drawn, start)],
        )

    def end_epoch(self):
        """Moves on to the next epoch and waits for what the service says to this one."""
        self.progress["epoch"] += 1
        self.progress["drawsDone"] = 0
        self.reporter.flush()
        switch = self.reporter.switch
        if switch is not None:
            self._planned = with_switch(self._planned, switch)
            self.progress["nextSnapshot"] = {
                "digest": switch["digest"],
                "fromEpoch": switch["fromEpoch"],
            }

    def resume(self, progress):
        """Goes on from the progress that was stored with a checkpoint of the same run."""
        fixed = ["job", "seed", "batchSize", "drawsPerEpoch"]
        if self.job.service is None:
            fixed.append("snapshot")  # nobody could hand out another one
        for name in fixed:
            if progress[name] != self.progress[name]:
                refuse(
                    f"the checkpoint is of {name} {progress[name]}, this run of "
                    f"{self.progress[name]}; train without --c, or in another folder"
                )
        self.progress = dict(progress)
        if progress["drawsDone"] == self.draws_per_epoch:  # stopped after its last step
            self.progress |= {"epoch": progress["epoch"] + 1, "drawsDone": 0}
        if progress["nextSnapshot"]:
            self._planned = with_switch(self._planned, progress["nextSnapshot"])

    def validated(self, results, names, epoch):
        """Reports a validation round after an epoch; answers its Dice per class."""
        at = {"step": self.progress["step"], "epoch": epoch}
        self.reporter.add(validation_metrics(results, names, self.job.cases or {}, at))
        dice = dice_of(results, names)
        self._say(f"validation over {len(results)} whole cases: Dice {json.dumps(dice)}")
        return dice

    def finish(self, dice, artifacts):
        """Tells the service that every step was done."""
        self.reporter.flush()
        self._end({"outcome": "succeeded", "summary": self._summary(dice), "artifacts": artifacts})

    def fail(self, error, artifacts):
        """Leaves behind what can be left; answers the exit code. Nothing where it was revoked."""
        known = error if isinstance(error, TrainerError) else None
        code = known.exit_code if known else FAILED
        sentence = str(known or f"{type(error).__name__}: {error}")
        if code == REVOKED or self._finished:
            return code
        try:
            self.reporter.log(sentence)
            if not self.reporter.failed:
                self.reporter.flush()
            body = {"outcome": "failed", "error": sentence[:10_000], "artifacts": artifacts}
            self._end({**body, "summary": self._summary(None)})
        except TrainerError as later:
            self._say(f"the service could not be told: {later}")
            return REVOKED if later.exit_code == REVOKED else code
        return code

    def _end(self, body):
        self._finished = True
        if self.job.service is not None:
            self.job.service.finish(body)
        self.reporter.close()

    def _summary(self, dice):
        summary = {"steps": self.progress["step"], "seconds": self.progress["seconds"]}
        return {**summary, "backend": "nnunet", **({"dice": dice} if dice else {})}


def planned_digest(planned, epoch):
    """Digest of the snapshot that the plan names for an epoch, or None."""
    due = [one for one in planned if one["fromEpoch"] <= epoch]
    return max(due, key=lambda one: one["fromEpoch"])["digest"] if due else None


def with_switch(planned, switch):
    """The plan with a switch; of two for one epoch the later word holds."""
    others = [one for one in planned if one["fromEpoch"] != switch["fromEpoch"]]
    return [*others, {"digest": switch["digest"], "fromEpoch": switch["fromEpoch"]}]


def now():
    """Seconds of a clock that only goes forward."""
    return time.monotonic()


def folder_of(environment, otherwise):
    """Where a run's own small files go: CW_OUT, or nnU-Net's folder of the fold."""
    folder = environment.get("CW_OUT") or otherwise
    os.makedirs(folder, exist_ok=True)
    return folder
