"""The Python digest, plan and ledger code against the known answers of every implementation."""

import json
import math
import os

import numpy as np
from counterweight.canonical import canonical_number, canonical_object
from counterweight.draws import ledger_digest, planned_places
from counterweight.philox import Words, philox_blocks
from counterweight.problems import TrainerError
from counterweight.snapshot import snapshot_digest, verified_snapshot

with open(os.path.join(os.path.dirname(__file__), "../../../vectors/method.json")) as file:
    ANSWERS = json.load(file)


def cases_of(snapshot):
    rows = sorted(snapshot["rows"], key=lambda row: row[0].encode())
    return [
        {"id": one, "targetUnits": target, "drawUnits": draw, "lossFactor": factor}
        for one, target, draw, factor in rows
    ]


def words():
    for answer in ANSWERS["philox"]:
        if answer["counter"][1:] != [0, 0, 0]:
            continue
        found = philox_blocks(answer["key"], answer["counter"][0], 1)
        assert found.tolist() == [int(word) for word in answer["words"]], answer
    assert any(answer["counter"][1:] == [0, 0, 0] for answer in ANSWERS["philox"])


def words_in_any_portions():
    whole = Words((1, 2)).take(1000).tolist()
    stream, parts = Words((1, 2)), []
    for count in (1, 2, 3, 0, 7, 400, 587):
        parts += stream.take(count).tolist()
    assert parts == whole


def rejected_words():
    """A bound of 2^31 + 1 refuses almost half of all words: the one-by-one rule, written out."""
    bounds = [2**31 + 1] * 500 + [3] * 500
    stream, expected = Words((5, 6)), []
    for bound in bounds:
        word = int(stream.take(1)[0])
        while word >= 2**32 // bound * bound:
            word = int(stream.take(1)[0])
        expected.append(word % bound)
    again = Words((5, 6))
    assert again.below_each(bounds).tolist() == expected
    assert again.take(3).tolist() == stream.take(3).tolist()


def numbers():
    written = {5.0: "5", -0.0: "0", 0.1: "0.1", 1e-7: "1e-7", 1e-6: "0.000001", 1e21: "1e+21"}
    written |= {123456789012345680000.0: "123456789012345680000", 1.5e300: "1.5e+300", 100: "100"}
    written |= {-2.5: "-2.5", 5e-324: "5e-324", 0.30000000000000004: "0.30000000000000004"}
    assert {value: canonical_number(value) for value in written} == written
    for bad in (math.inf, math.nan):
        try:
            canonical_number(bad)
        except ValueError:
            continue
        raise AssertionError(f"{bad} was written")


def digests():
    assert len(ANSWERS["snapshots"]) >= 10
    for snapshot in ANSWERS["snapshots"]:
        assert canonical_object(snapshot["header"]) == snapshot["canonicalHeader"]
        assert snapshot_digest(snapshot["header"], cases_of(snapshot)) == snapshot["digest"]


def plans():
    assert len(ANSWERS["draws"]) >= 40
    for answer in ANSWERS["draws"]:
        snapshot = ANSWERS["snapshots"][answer["snapshot"]]
        cases = cases_of(snapshot)
        units = [int(case["drawUnits"]) for case in cases]
        asked = (int(answer["seed"]), int(answer["epoch"]), int(answer["drawsPerEpoch"]))
        places = planned_places(snapshot["digest"], units, *asked)
        ids = [cases[place]["id"] for place in places]
        assert ids[: len(answer["first"])] == answer["first"], answer["snapshot"]
        assert ledger_digest(ids) == answer["ledgerDigest"], answer["snapshot"]


def a_plan_of_a_million():
    """Every case is drawn floor or ceil of M q times, also where nothing is small."""
    count = 1_000_000
    units = np.full(count, 2**52 // count, dtype=np.int64)
    units[: 2**52 - int(units.sum())] += 1
    places = planned_places("sha256:" + "0" * 64, units, 7, 3, 2**20)
    seen = np.bincount(places, minlength=count)
    exact = units.astype(float) * 2**20 / 2**52
    assert (seen >= np.floor(exact)).all() and (seen <= np.ceil(exact)).all()


def altered_snapshots():
    snapshot = max(ANSWERS["snapshots"], key=lambda one: len(one["rows"]))
    document = {
        "digest": snapshot["digest"],
        "header": snapshot["header"],
        "cases": cases_of(snapshot),
    }
    assert verified_snapshot(document).digest == snapshot["digest"]
    first, second = document["cases"][0], document["cases"][1]
    more = {**first, "drawUnits": str(int(first["drawUnits"]) + 1)}
    less = {**second, "drawUnits": str(int(second["drawUnits"]) - 1)}
    rest, factor = document["cases"][2:], math.nextafter(first["lossFactor"], 9)
    faults = {
        "drawUnits sum": {**document, "cases": [more, second, *rest]},
        "content has the digest": {**document, "cases": [more, less, *rest]},
        "header says": {**document, "cases": [{**first, "id": "x"}, *document["cases"]]},
        "content has": {**document, "header": {**document["header"], "fold": "all"}},
        "content has the": {
            **document,
            "cases": [{**first, "lossFactor": factor}, second, *rest],
        },
    }
    faults["header says"]["cases"][0] |= {"targetUnits": "0", "drawUnits": "0"}
    for sentence, altered in faults.items():
        refused(lambda altered=altered: verified_snapshot(altered), sentence)
    refused(lambda: verified_snapshot(document, "sha256:" + "0" * 64), "what came is")


def refused(action, sentence):
    try:
        action()
    except TrainerError as error:
        assert sentence in str(error), str(error)
        return
    raise AssertionError(f"not refused: {sentence}")
