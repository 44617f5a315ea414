"""A snapshot as this trainer holds it, verified before anything is drawn (METHOD.md section 5)."""

import hashlib
import json
import struct

from .canonical import canonical_object
from .draws import UNITS, ledger_digest, planned_places
from .problems import TrainerError, refuse

CHUNK = 8192


class Snapshot:
    """Cases in digest order with their draw units (of 2^52) and loss factors."""

    def __init__(self, digest, header, cases, excluded):
        self.digest = digest
        self.header = header
        self.ids = [case["id"] for case in cases]
        self.draw_units = [int(case["drawUnits"]) for case in cases]
        self.excluded = excluded
        self._factors = {case["id"]: case["lossFactor"] for case in cases}

    def __repr__(self):
        return f"Snapshot({self.digest}, {len(self.ids)} cases)"

    def loss_factor(self, case_id):
        """What the loss of this case is multiplied by: w of METHOD.md."""
        return self._factors[case_id]

    @property
    def corrects(self):
        """Whether any loss counts differently from another."""
        return any(factor != 1 for factor in self._factors.values())

    def plan(self, seed, epoch, draws):
        """The ids of an epoch's draws, in plan order."""
        places = planned_places(self.digest, self.draw_units, seed, epoch, draws)
        return [self.ids[place] for place in places]


def snapshot_digest(header, cases):
    """The digest of a header and its cases, which are in order of their ids' UTF-8 bytes."""
    whole = hashlib.sha256(canonical_object(header).encode() + b"\n")
    for start in range(0, len(cases), CHUNK):
        text = "".join(_line(case) for case in cases[start : start + CHUNK])
        whole.update(hashlib.sha256(text.encode()).digest())
    return "sha256:" + whole.hexdigest()


def _line(case):
    factor = struct.pack(">d", case["lossFactor"]).hex()
    return f"{case['id']}\t{case['targetUnits']}\t{case['drawUnits']}\t{factor}\n"


def verified_snapshot(document, digest=None):
    """The snapshot of an exported document `{digest, header, cases, excluded?}`.

    Raises TrainerError unless both sums are 2^52 and the digest is that of the content, and the
    one asked for where `digest` names it.
    """
    header, stated = document["header"], document["digest"]
    cases = sorted(document["cases"], key=lambda case: case["id"].encode())
    for name in ("targetUnits", "drawUnits"):
        total = sum(int(case[name]) for case in cases)
        if total != UNITS:
            _altered(stated, f"its {name} sum to {total}, not to 2^52")
    if header["caseCount"] != len(cases):
        _altered(stated, f"its header says {header['caseCount']} cases, but there are {len(cases)}")
    found = snapshot_digest(header, cases)
    if found != stated:
        _altered(stated, f"its content has the digest {found}")
    if digest is not None and found != digest:
        _altered(digest, f"what came is snapshot {found}")
    excluded = {one["id"]: one.get("reason", "") for one in document.get("excluded", [])}
    return Snapshot(found, header, cases, excluded)


def _altered(digest, what):
    raise TrainerError(f"snapshot {digest} was altered on the way: {what}")


def read_snapshot_file(path):
    """The snapshot of a file that the service exported as JSON."""
    try:
        with open(path, encoding="utf-8") as file:
            document = json.load(file)
    except OSError as error:
        refuse(f"CW_SNAPSHOT: {path} cannot be read: {error.strerror}")
    except ValueError as error:
        refuse(f"CW_SNAPSHOT: {path} is not JSON ({error}); export it as JSON, not as lines")
    if not isinstance(document, dict) or not {"digest", "header", "cases"} <= document.keys():
        refuse(f"CW_SNAPSHOT: {path} lacks digest, header or cases; export the snapshot as JSON")
    return verified_snapshot(document)


def ledger_range(snapshot, epoch, drawn, start):
    """The ledger entry of `drawn` ids, which are draws start, start + 1, ... of an epoch."""
    return {
        "epoch": epoch,
        "snapshot": snapshot.digest,
        "from": start,
        "draws": len(drawn),
        "digest": ledger_digest(drawn),
    }
