"""The loss of each case, on the losses that nnU-Net builds: classes and regions, with and without
an ignore label, with and without deep supervision.
"""

import torch
from counterweight.loss import CaseFactorLoss, has_batch_dice
from nnunetv2.training.loss.compound_losses import DC_and_BCE_loss, DC_and_CE_loss
from nnunetv2.training.loss.deep_supervision import DeepSupervisionWrapper
from nnunetv2.training.loss.dice import MemoryEfficientSoftDiceLoss

SCALES = (0.6, 0.4)


def of_classes(ignore=None, batch_dice=False):
    dice = {"batch_dice": batch_dice, "smooth": 1e-5, "do_bg": False, "ddp": False}
    return DC_and_CE_loss(dice, {}, 1, 1, ignore, dice_class=MemoryEfficientSoftDiceLoss)


def of_regions(ignore=False, batch_dice=False):
    dice = {"batch_dice": batch_dice, "smooth": 1e-5, "do_bg": True, "ddp": False}
    return DC_and_BCE_loss({}, dice, use_ignore_label=ignore)


def batch(cases, regions=False, ignore=False):
    """Outputs that need gradients, and targets, at two scales."""
    torch.manual_seed(5)
    outputs, targets = [], []
    for side in (8, 4):
        outputs.append(torch.randn(cases, 3, side, side, side, requires_grad=True))
        if regions:
            target = torch.randint(0, 2, (cases, 3 + ignore, side, side, side)).bool()
        else:
            target = torch.randint(0, 3 + ignore, (cases, 1, side, side, side)).short()
        targets.append(target)
    return outputs, targets


VARIANTS = [
    (of_classes(), False, False),
    (of_classes(ignore=3), False, True),
    (of_regions(), True, False),
    (of_regions(ignore=True), True, True),
]


def each_variant():
    for inner, regions, ignore in VARIANTS:
        outputs, targets = batch(3, regions, ignore)
        yield inner, outputs[0], targets[0], ignore
        yield DeepSupervisionWrapper(inner, SCALES), outputs, targets, ignore


def slices(value, place):
    if isinstance(value, list):
        return [one[place : place + 1] for one in value]
    return value[place : place + 1]


def leaves(outputs):
    return outputs if isinstance(outputs, list) else [outputs]


def factors_of_one_change_nothing():
    """To float precision; with an ignore label cases of fewer voxels count as much as others."""
    tried = 0
    for stock, outputs, targets, ignore in each_variant():
        loss = CaseFactorLoss(stock)
        loss.factors = [1.0, 1.0, 1.0]
        found = loss(outputs, targets)
        parts = [stock(slices(outputs, place), slices(targets, place)) for place in range(3)]
        expected = torch.stack(parts).mean() if ignore else stock(outputs, targets)
        torch.testing.assert_close(found, expected, rtol=2e-6, atol=2e-6)
        ours = torch.autograd.grad(found, leaves(outputs))
        theirs = torch.autograd.grad(expected, leaves(outputs))
        for one, other in zip(ours, theirs):
            torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-9)
        tried += 1
    assert tried == 8


def the_gradient_scales_with_the_factor():
    for stock, outputs, targets, _ in each_variant():
        outputs = [one.detach().double().requires_grad_() for one in leaves(outputs)]
        given = outputs if isinstance(targets, list) else outputs[0]
        loss = CaseFactorLoss(stock)
        gradients = []
        for factors in ([1.0, 1.0, 1.0], [0.25, 3.0, 1.0]):
            loss.factors = factors
            gradients.append(torch.autograd.grad(loss(given, targets), outputs))
        for plain, scaled in zip(*gradients):
            for place, factor in enumerate([0.25, 3.0, 1.0]):
                torch.testing.assert_close(
                    scaled[place], factor * plain[place], rtol=1e-6, atol=1e-12
                )


def case_losses_are_unweighted():
    for stock, outputs, targets, _ in each_variant():
        loss = CaseFactorLoss(stock)
        loss.factors = [5.0, 0.2, 1.0]
        loss(outputs, targets)
        for place in range(3):
            alone = stock(slices(outputs, place), slices(targets, place))
            torch.testing.assert_close(loss.case_losses[place], alone.detach())


def validation_is_the_stock_loss():
    for stock, outputs, targets, _ in each_variant():
        assert CaseFactorLoss(stock)(outputs, targets) == stock(outputs, targets)


def batch_dice_is_marked_and_kept():
    """With factors of 1 it is the stock loss over the batch, which is not the mean of cases."""
    for inner in (of_classes(batch_dice=True), of_regions(batch_dice=True)):
        outputs, targets = batch(3, regions=isinstance(inner, DC_and_BCE_loss))
        stock = DeepSupervisionWrapper(inner, SCALES)
        assert has_batch_dice(stock)
        loss = CaseFactorLoss(stock, batch_dice=True)
        loss.factors = [1.0, 1.0, 1.0]
        torch.testing.assert_close(loss(outputs, targets), stock(outputs, targets))
        assert (inner.weight_ce, inner.weight_dice) == (1, 1)
        mean = loss.case_losses.mean()
        assert abs(float(mean) - float(stock(outputs, targets))) > 1e-4
    assert not has_batch_dice(of_classes())
