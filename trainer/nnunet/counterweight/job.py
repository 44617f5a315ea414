"""What a run must do: a job of the service, or an exported snapshot and a few settings."""

import json
import os

from .problems import REVOKED, TrainerError, refuse
from .service import Service
from .snapshot import read_snapshot_file

_STOCK = ("epochs", "drawsPerEpoch", "batchSize", "learningRate", "foregroundShare")
_OWN = ("validateEvery", "checkpointEvery", "allowBatchDice", "nnunet", "trainer")


class Job:
    """One attempt. `service` is None where an exported file takes its place.

    `cases` maps a case id to what the service lists of it (side, groups, scoreDecile, files), and
    is None without a service. `planned` says from which epoch on which snapshot is drawn by.
    """

    def __init__(self, seed, settings, snapshot, described=None, service=None):
        described = described or {}
        self.id = described.get("id", "file")
        self.attempt = described.get("attempt", 1)
        self.next_sequence = described.get("nextSequence", 0)
        self.groups = described.get("groups", [])
        self.labels = described.get("labels", {})
        self.planned = described.get("snapshots", [])
        self.seed, self.settings, self.snapshot = seed, settings, snapshot
        self.service = service
        self.cases = None
        if service is not None:
            self.cases = {case["id"]: case for case in service.cases()}

    def __repr__(self):
        return f"Job({self.id}, attempt {self.attempt}, seed {self.seed}, {self.snapshot})"

    def setting(self, name, otherwise=None):
        """A setting of the job, or `otherwise` where the job says nothing."""
        value = self.settings.get(name)
        return otherwise if value is None else value

    def nnunet(self, name, otherwise=None):
        """A setting of nnU-Net's own."""
        value = (self.settings.get("nnunet") or {}).get(name)
        return otherwise if value is None else value

    def side(self, name):
        """Ids of one side of the fold as the service lists them, `train` or `val`."""
        return [case_id for case_id, case in self.cases.items() if case["side"] == name]


def is_asked_for(environment):
    """Whether the environment names a job or a snapshot at all."""
    return bool(environment.get("CW_SNAPSHOT") or environment.get("CW_API"))


def open_job(environment, say=print):
    """The job that CW_API, CW_JOB and CW_TOKEN name, or the snapshot file of CW_SNAPSHOT.

    Raises TrainerError for what cannot be run; the service was told, where there is one.
    """
    if environment.get("CW_SNAPSHOT"):
        if environment.get("CW_API"):
            refuse("CW_SNAPSHOT and CW_API are both set: a run follows a file or a job, not both")
        return _job_of_file(environment)
    missing = [name for name in ("CW_API", "CW_JOB", "CW_TOKEN") if not environment.get(name)]
    if missing:
        refuse(f"{', '.join(missing)} not set; a launcher sets them, or CW_SNAPSHOT names a file")
    service = Service(environment["CW_API"], environment["CW_TOKEN"], say)
    described = service.job()
    try:
        return _job_of_service(service, described, environment)
    except TrainerError as error:
        if error.exit_code != REVOKED:
            service.finish({"outcome": "failed", "error": str(error)[:10_000]})
        raise


def _job_of_service(service, described, environment):
    if described["id"] != environment["CW_JOB"]:
        refuse(f"CW_JOB is {environment['CW_JOB']}, but the token is for job {described['id']}")
    if described["settings"].get("trainer") != "nnunet":
        refuse(
            f"job {described['id']} is for the trainer "
            f'"{described["settings"].get("trainer")}"; this one takes settings.trainer "nnunet"'
        )
    snapshot = service.snapshot(described["snapshot"]["digest"])
    return Job(described["seed"], described["settings"], snapshot, described, service)


def _job_of_file(environment):
    snapshot = read_snapshot_file(environment["CW_SNAPSHOT"])
    text = environment.get("CW_SEED", "1")
    if not text.isdecimal() or int(text) >= 2**53:
        refuse(f'CW_SEED is a whole number from 0 to 2^53 - 1, not "{text}"')
    return Job(int(text), _settings_of(environment.get("CW_SETTINGS", "{}")), snapshot)


def _settings_of(given):
    text = given
    if not given.lstrip().startswith("{"):
        try:
            with open(given, encoding="utf-8") as file:
                text = file.read()
        except OSError as error:
            refuse(f"CW_SETTINGS: {given} cannot be read: {error.strerror}")
    try:
        settings = json.loads(text)
    except ValueError as error:
        refuse(f"CW_SETTINGS is not JSON: {error}")
    unknown = sorted(settings.keys() - {*_STOCK, *_OWN})
    if unknown:
        refuse(f"CW_SETTINGS: unknown {', '.join(unknown)}; it takes {', '.join(_STOCK + _OWN)}")
    return settings


def data_folder(environment):
    """CW_DATA as nnU-Net's (raw folder, dataset name). Raises TrainerError where it is neither."""
    path = os.path.normpath(environment.get("CW_DATA", ""))
    parent, name = os.path.split(os.path.abspath(path))
    if not environment.get("CW_DATA") or not os.path.isdir(path):
        refuse(f'CW_DATA: "{environment.get("CW_DATA", "")}" is not a folder')
    if not (name.startswith("Dataset") and name[7:10].isdecimal() and name[10:11] == "_"):
        refuse(f"CW_DATA: {name} is not named as nnU-Net wants it, DatasetXXX_Name")
    return parent, name
