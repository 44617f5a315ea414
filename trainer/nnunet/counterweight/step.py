"""One training step, which is nnU-Net's own but for three things: it tells the gradient's norm, it
leaves out what is not finite, and its loss counts cases by their factors.
"""

from contextlib import nullcontext

import torch

_CLIP = 12


def corrected_step(trainer, batch):
    """Steps on a batch whose factors `trainer.loss` holds.

    Answers `loss` (with METHOD.md's 1 - Dice), `nnunet` (the same as nnU-Net counts it),
    `gradientNorm` before clipping, `clipped`, `skipped`, and `fatal` where the loss or, without a
    loss scaler, its gradient was not finite.
    """
    data, target = _on_device(batch["data"], trainer), batch["target"]
    if isinstance(target, list):
        target = [_on_device(one, trainer) for one in target]
    else:
        target = _on_device(target, trainer)
    trainer.optimizer.zero_grad(set_to_none=True)
    mixed = torch.autocast("cuda") if trainer.device.type == "cuda" else nullcontext()
    with mixed:
        loss = trainer.loss(trainer.network(data), target)
    found = loss.detach().cpu()
    finite = bool(torch.isfinite(found))
    norm = _descend(trainer, loss) if finite else float("nan")
    applied = finite and norm < float("inf")
    return {
        "loss": float(found) + trainer.loss.offset,
        "nnunet": found.numpy(),
        "gradientNorm": norm,
        "clipped": applied and norm > _CLIP,
        "skipped": not applied,
        "fatal": not (applied or (finite and trainer.grad_scaler is not None)),
    }


def _on_device(tensor, trainer):
    return tensor.to(trainer.device, non_blocking=True)


def _descend(trainer, loss):
    """Backward, clip, step; answers the norm before clipping. An infinite gradient is left out."""
    scaler, parameters = trainer.grad_scaler, trainer.network.parameters()
    if scaler is None:
        loss.backward()
        norm = float(torch.nn.utils.clip_grad_norm_(parameters, _CLIP))
        if norm < float("inf"):
            trainer.optimizer.step()
        return norm
    scaler.scale(loss).backward()
    scaler.unscale_(trainer.optimizer)
    norm = float(torch.nn.utils.clip_grad_norm_(parameters, _CLIP))
    scaler.step(trainer.optimizer)  # leaves out a gradient that overflowed
    scaler.update()
    return norm
