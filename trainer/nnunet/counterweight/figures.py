"""What the steps of an epoch and the cases of a validation round add up to, as metrics."""

import math


class EpochFigures:
    """Adds up the steps of an epoch, or of the part of it that this attempt did."""

    def __init__(self, decile_of):
        self._decile_of = decile_of
        self._cases = {}
        self._steps = self._clipped = self._skipped = 0
        self._seconds = self._waited = self._rate = 0.0

    def add(self, ids, losses, clipped, skipped, rate, seconds, waited):
        """One step: unweighted losses of its cases, seconds in all and seconds spent waiting."""
        self._steps += 1
        self._clipped += clipped
        self._skipped += skipped
        self._rate = rate
        self._seconds += seconds
        self._waited += waited
        for case_id, loss in zip(ids, losses):
            if math.isfinite(loss):
                total, seen = self._cases.get(case_id, (0.0, 0))
                self._cases[case_id] = (total + loss, seen + 1)

    def case_losses(self, epoch, start):
        """Mean losses of the cases drawn since draw `start` of the epoch."""
        return [
            {"id": one, "loss": total / seen, "seen": seen, "epoch": epoch, "from": start}
            for one, (total, seen) in self._cases.items()
        ]

    def metrics(self, step, epoch):
        """The metrics of the epoch's end."""
        at = {"step": step, "epoch": epoch}
        steps = max(1, self._steps)
        named = {
            "caseLoss": _mean_loss(self._cases.values()),
            "clippedShare": self._clipped / steps,
            "learningRate": self._rate,
            "secondsPerStep": self._seconds / steps,
            "waitSeconds": self._waited / steps,
            "skippedSteps": self._skipped,
        }
        metrics = [{"name": name, "value": float(value), **at} for name, value in named.items()]
        by_decile = {}
        for one, entry in self._cases.items():
            if self._decile_of(one) is not None:
                by_decile.setdefault(self._decile_of(one), []).append(entry)
        for decile, entries in sorted(by_decile.items()):
            group = f"scoreDecile={decile}"
            metrics.append(
                {"name": "caseLoss", "value": _mean_loss(entries), **at, "group": group}
            )
        return metrics


def _mean_loss(entries):
    seen = sum(count for _, count in entries)
    return sum(total for total, _ in entries) / seen if seen else math.nan


class CaseResult:
    """A validation case: its loss, or None, and per class voxels (predicted, true, both)."""

    def __init__(self, case_id, counts, loss=None):
        self.case_id, self.counts, self.loss = case_id, counts, loss


def validation_metrics(results, names, cases, at):
    """Metrics of a validation round, overall and per group, as the other trainer sends them.

    `names` are the classes in the order of the counts, `cases` what the service lists of each id.
    """
    metrics = _of_some(results, names, at)
    groups, deciles = {}, {}
    for result in results:
        listed = cases.get(result.case_id, {})
        for attribute, value in listed.get("groups", {}).items():
            groups.setdefault(f"{attribute}={value}", []).append(result)
        if listed.get("scoreDecile") is not None:
            deciles.setdefault(f"scoreDecile={listed['scoreDecile']}", []).append(result)
    for group, some in sorted(groups.items()):
        metrics += [
            {**metric, "group": group}
            for metric in _of_some(some, names, at)
            if metric["name"] != "validationLoss"
        ]
    for group, some in sorted(deciles.items()):
        metrics += [
            {**metric, "group": group}
            for metric in _of_some(some, names, at)
            if metric["name"] == "validationLoss"
        ]
    return [metric for metric in metrics if math.isfinite(metric["value"])]


def _of_some(results, names, at):
    dice = dice_of(results, names)
    metrics = [
        {"name": "dice", "value": value, "class": name, **at}
        for name, value in dice.items()
        if name != "mean" and value is not None
    ]
    if dice["mean"] is not None:
        metrics.append({"name": "diceMean", "value": dice["mean"], **at})
    predicted = sum(count[0] for result in results for count in result.counts)
    true = sum(count[1] for result in results for count in result.counts)
    if true:
        metrics.append({"name": "volumeRatio", "value": predicted / true, **at})
    losses = [result.loss for result in results if result.loss is not None]
    if losses:
        metrics.append({"name": "validationLoss", "value": sum(losses) / len(losses), **at})
    return metrics


def dice_of(results, names):
    """Mean over cases of each case's Dice, per class, and `mean` over classes.

    A class that is absent from both sides says nothing of a case; None where no case says anything.
    """
    dice = {}
    for place, name in enumerate(names):
        known = [
            2 * both / (predicted + true)
            for predicted, true, both in (result.counts[place] for result in results)
            if predicted + true > 0
        ]
        dice[name] = sum(known) / len(known) if known else None
    values = [value for value in dice.values() if value is not None]
    dice["mean"] = sum(values) / len(values) if values else None
    return dice
