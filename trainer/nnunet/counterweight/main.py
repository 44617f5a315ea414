"""counterweight-nnunet: the command that a launch target runs for a job whose trainer is nnunet."""

import argparse
import multiprocessing
import os
import sys

from . import __version__, external
from .job import data_folder, open_job
from .problems import CONFIGURATION, TrainerError
from .reporter import Reporter
from .snapshot import read_snapshot_file


def main(arguments=None):
    """Runs a subcommand; answers the exit code."""
    parser = argparse.ArgumentParser(prog="counterweight-nnunet", description=__doc__)
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run", help="train the job of CW_API, CW_JOB, CW_TOKEN, CW_DATA and CW_OUT")
    commands.add_parser("path", help="the folder that nnUNet_extTrainer has to name")
    verify = commands.add_parser("verify", help="check an exported snapshot, and replay an epoch")
    verify.add_argument("file", help="the snapshot's JSON export")
    for name in ("seed", "epoch", "draws"):
        verify.add_argument(f"--{name}", type=int, help="of an epoch to replay; all three or none")
    options = parser.parse_args(arguments)
    try:
        return {"run": _run, "path": _path, "verify": _verify}[options.command](options)
    except TrainerError as error:
        print(error, file=sys.stderr)
        return error.exit_code


def trainer_folder():
    """The folder that holds nothing but the module nnU-Net looks the trainer class up in."""
    return external.__path__[0]


def _path(_options):
    print(trainer_folder())
    return 0


def _verify(options):
    given = (options.seed, options.epoch, options.draws)
    if None in given and given != (None, None, None):
        raise TrainerError("--seed, --epoch and --draws belong together", CONFIGURATION)
    snapshot = read_snapshot_file(options.file)
    print(f"{snapshot.digest} holds: {len(snapshot.ids)} cases")
    if None not in given:
        print("\n".join(snapshot.plan(*given)))
    return 0


def _run(_options):
    """Prepares what is missing, then calls nnU-Net's own training function."""
    environment = os.environ
    raw, name = data_folder(environment)
    out = environment.get("CW_OUT") or _refuse_without("CW_OUT")
    job = open_job({**environment, "CW_SNAPSHOT": ""})
    environment["nnUNet_raw"] = raw
    environment.setdefault("nnUNet_preprocessed", os.path.join(out, "nnUNet_preprocessed"))
    environment["nnUNet_results"] = os.path.join(out, "nnUNet_results")
    environment["nnUNet_extTrainer"] = trainer_folder()
    try:
        return _train(job, name, out)
    except Exception as error:
        known = isinstance(error, TrainerError)
        sentence = str(error) if known else f"{type(error).__name__}: {error}"
        job.service.finish({"outcome": "failed", "error": sentence[:10_000]})
        raise


def _train(job, name, out):
    import torch  # nnU-Net reads the environment, so it is imported only now
    from nnunetv2.run.run_training import run_training

    from .preparation import checkpoint_in, prepare

    device = _device(job.nnunet("device", "auto"), torch)
    configuration = job.nnunet("configuration", "3d_fullres")
    plans = job.nnunet("plans", "nnUNetPlans")
    reporter = Reporter(job.service, out, job.attempt, job.next_sequence)
    try:
        prepare(name, configuration, plans, reporter.log)
    finally:
        reporter.close()
    fold = job.snapshot.header["fold"]
    run_training(
        name,
        configuration,
        str(fold),
        "CounterweightTrainer",
        plans,
        continue_training=checkpoint_in(name, configuration, plans, fold),
        device=device,
    )
    return 0


def _device(wanted, torch):
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    if wanted == "cuda" and not torch.cuda.is_available():
        raise TrainerError("nnunet.device is cuda, but torch sees no GPU here", CONFIGURATION)
    torch.set_num_threads(1 if wanted == "cuda" else multiprocessing.cpu_count())
    return torch.device(wanted)


def _refuse_without(name):
    raise TrainerError(f"{name} not set; a launcher sets it", CONFIGURATION)


if __name__ == "__main__":
    sys.exit(main())
