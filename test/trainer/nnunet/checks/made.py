"""Snapshots made for checks: real digests over made-up numbers."""

from counterweight.draws import UNITS
from counterweight.snapshot import snapshot_digest


def made_snapshot(shares, factors=None, fold=0, excluded=()):
    """The document of a snapshot whose cases are drawn in proportion to `shares` (id -> number).

    `factors` maps ids to loss factors; 1 where it is silent. Targets are uniform.
    """
    ids = sorted(shares, key=str.encode)
    total = sum(shares.values())
    draws = _units([shares[one] / total for one in ids])
    targets = _units([1 / len(ids)] * len(ids))
    cases = [
        {
            "id": one,
            "targetUnits": str(target),
            "drawUnits": str(draw),
            "lossFactor": (factors or {}).get(one, 1),
        }
        for one, target, draw in zip(ids, targets, draws)
    ]
    header = {
        "format": 1,
        "dataset": "made",
        "datasetVersionDigest": "sha256:" + "1" * 64,
        "split": "default",
        "fold": fold,
        "ruleSetDigest": "sha256:" + "2" * 64,
        "floor": 0.2,
        "cap": 5,
        "temper": 1,
        "strength": 1 if factors else 0,
        "caseCount": len(cases),
        "parentDigest": None,
        "evidenceDigest": None,
        "cause": "rules",
    }
    return {
        "digest": snapshot_digest(header, cases),
        "header": header,
        "excluded": [{"id": one, "reason": "made"} for one in excluded],
        "cases": cases,
    }


def _units(shares):
    units = [int(share * UNITS) for share in shares]
    units[0] += UNITS - sum(units)
    return units
