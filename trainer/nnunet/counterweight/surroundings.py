"""What a run computes on, as the service and a reviewer see it."""

import hashlib
import json
import platform
from importlib.metadata import version

import torch

from . import __version__


def surroundings(trainer):
    """Device and versions, and the SHA-256 of the plans that the network and patches come from."""
    plans = json.dumps(trainer.plans_manager.plans, sort_keys=True).encode()
    device = trainer.device.type
    if device == "cuda":
        device = f"cuda: {torch.cuda.get_device_name(trainer.device)}"
    return {
        "backend": "nnunet",
        "reason": f"{trainer.plans_manager.plans_name}, {trainer.configuration_name}",
        "device": f"{device}, {torch.get_num_threads()} threads",
        "versions": {
            "nnunetv2": version("nnunetv2"),
            "torch": torch.__version__,
            "python": platform.python_version(),
            "counterweight-nnunet": __version__,
            "plans": "sha256:" + hashlib.sha256(plans).hexdigest(),
        },
    }
