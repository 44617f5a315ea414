"""The loss of a batch as the mean over its cases of factor times the case's own loss (METHOD.md
section 7). Stock nnU-Net's loss object does the computing, one case at a time.
"""

from contextlib import contextmanager

import torch
from torch import nn


class CaseFactorLoss(nn.Module):
    """Wraps nnU-Net's loss, deep supervision and all.

    `factors` is None outside a training step: the stock loss, as validation needs it. Within one,
    it holds a factor per case, and `case_losses` holds each case's unweighted loss afterwards.
    nnU-Net subtracts Dice where METHOD.md adds 1 - Dice: `offset` is the difference, which no
    gradient sees.
    """

    def __init__(self, stock, batch_dice=False):
        super().__init__()
        self.stock = stock
        self.batch_dice = batch_dice
        self.factors = None
        self.case_losses = None
        self.offset = float(getattr(compound_of(stock), "weight_dice", 0))

    def forward(self, output, target):
        """Tensors of shape [cases, ...], or lists of them, one per scale; answers a scalar."""
        if self.factors is None:
            return self.stock(output, target)
        losses = torch.stack([self._of_case(output, target, b) for b in range(len(self.factors))])
        self.case_losses = losses.detach()
        factors = torch.as_tensor(self.factors, dtype=losses.dtype, device=losses.device)
        if not self.batch_dice:
            return (factors * losses).mean()
        return self._with_batch_dice(output, target, factors)

    def _of_case(self, output, target, place):
        return self.stock(_slice(output, place), _slice(target, place))

    def _with_batch_dice(self, output, target, factors):
        """Cross entropy case by case; Dice over the whole batch, times the mean factor: inexact."""
        with _only(self.stock, "weight_ce"):
            entropies = [self._of_case(output, target, b) for b in range(len(factors))]
        with _only(self.stock, "weight_dice"):
            dice = self.stock(output, target)
        return (factors * torch.stack(entropies)).mean() + factors.mean() * dice


def _slice(value, place):
    if isinstance(value, (list, tuple)):
        return [one[place : place + 1] for one in value]
    return value[place : place + 1]


def compound_of(stock):
    """The loss inside deep supervision's wrapper, or the loss itself."""
    return getattr(stock, "loss", stock)


def has_batch_dice(stock):
    """Whether Dice adds up the voxels of all cases before it divides."""
    dice = getattr(compound_of(stock), "dc", None)
    dice = getattr(dice, "_orig_mod", dice)  # torch.compile wraps it
    return bool(getattr(dice, "batch_dice", False))


@contextmanager
def _only(stock, kept):
    """Leaves out the other of the two parts of a compound loss for a moment."""
    compound = compound_of(stock)
    other = "weight_dice" if kept == "weight_ce" else "weight_ce"
    before = getattr(compound, other)
    setattr(compound, other, 0)
    try:
        yield
    finally:
        setattr(compound, other, before)
