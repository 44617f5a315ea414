"""nnU-Net's own planning and preprocessing, where the job's plans or cases are not there yet."""

import os

from .problems import refuse


def checkpoint_in(name, configuration, plans, fold):
    """Whether nnU-Net's folder of the fold holds a checkpoint to go on from."""
    trained = f"CounterweightTrainer__{plans}__{configuration}"
    folder = os.path.join(os.environ["nnUNet_results"], name, trained, f"fold_{fold}")
    names = ("final", "latest", "best")
    return any(os.path.isfile(os.path.join(folder, f"checkpoint_{kind}.pth")) for kind in names)


def prepare(name, configuration, plans, tell):
    """Plans and preprocesses the data set of folder `name` unless that was done before.

    `tell` hears what is being done.
    Only nnU-Net's standard plans are made here; others are refused where they are missing.
    """
    base = os.path.join(os.environ["nnUNet_preprocessed"], name)
    file = os.path.join(base, f"{plans}.json")
    if not os.path.isfile(file):
        if plans != "nnUNetPlans":
            refuse(f"settings.nnunet.plans: {plans}.json is not in {name} of nnUNet_preprocessed")
        _plan(name, tell)
    _preprocess(name, configuration, plans, base, file, tell)


def _number(name):
    return int(name[len("Dataset") : len("Dataset") + 3])


def _plan(name, tell):
    from nnunetv2.experiment_planning.plan_and_preprocess_api import (
        extract_fingerprints,
        plan_experiments,
    )

    tell(f"{name}: planning as nnUNetv2_plan_and_preprocess does")
    extract_fingerprints([_number(name)], num_processes=_processes())
    plan_experiments([_number(name)])


def _preprocess(name, configuration, plans, base, file, tell):
    from nnunetv2.experiment_planning.plan_and_preprocess_api import preprocess
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    manager = PlansManager(file)
    if configuration not in manager.available_configurations:
        known = ", ".join(manager.available_configurations)
        refuse(f"settings.nnunet.configuration: {plans} has no {configuration}; it has {known}")
    folder = os.path.join(base, manager.get_configuration(configuration).data_identifier)
    if os.path.isdir(folder) and os.listdir(folder):
        return
    tell(f"{name}: preprocessing for {configuration}")
    preprocess([_number(name)], plans, [configuration], [_processes()])


def _processes():
    return max(1, min(8, os.cpu_count() or 1))
