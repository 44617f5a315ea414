"""The plan of an epoch and the ledger of what was drawn (METHOD.md section 6)."""

import hashlib

import numpy as np

from .philox import Words, key_of

UNITS = 2**52
MOST_DRAWS = 2**26


def planned_places(digest, draw_units, seed, epoch, draws):
    """Places of the cases drawn in one epoch, in plan order: int64, shape [draws].

    `draw_units` are whole numbers out of 2^52 in digest order, shape [cases]; `digest` is the
    snapshot's, with its `sha256:`. Raises ValueError where a plan would not be exact.
    """
    if not 1 <= draws <= MOST_DRAWS:
        raise ValueError(f"an epoch has 1 to {MOST_DRAWS} draws, not {draws}")
    words = Words(key_of(f"counterweight/draws/1|{digest}|{seed}|{epoch}"))
    order = _shuffled(np.arange(len(draw_units), dtype=np.int64), words)
    offset = words.below52()
    step, rest = divmod(UNITS, draws)
    turns = np.arange(draws, dtype=np.int64)
    points = turns * step + (offset + turns * rest) // draws
    ends = np.cumsum(np.asarray(draw_units, dtype=np.int64)[order])
    if ends[-1] != UNITS:
        raise ValueError(f"the draw units sum to {ends[-1]}, not to 2^52")
    return _shuffled(order[np.searchsorted(ends, points, side="right")], words)


def _shuffled(items, words):
    """Fisher-Yates from the last place down to 1."""
    last = len(items) - 1
    partners = words.below_each(np.arange(last + 1, 1, -1)).tolist()
    shuffled = items.tolist()
    for place, other in zip(range(last, 0, -1), partners):
        shuffled[place], shuffled[other] = shuffled[other], shuffled[place]
    return np.array(shuffled, dtype=np.int64)


def ledger_digest(ids):
    """SHA-256 over case ids in plan order, each followed by a newline."""
    text = "".join(f"{one}\n" for one in ids)
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()
