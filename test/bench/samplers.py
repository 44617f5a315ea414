"""Seconds of one epoch's draws with the samplers that people use, in turns asked for line by line.

The first line is {"n": cases, "batch": 2, "batches": how many of them are drawn}. The answer holds
the versions of the packages. Each further line is one turn: every sampler draws once, and the
answer is {name: seconds}, without the samplers whose package is missing. Before the first answer
each has drawn once, which is not counted.
"""

import json
import sys
import time

try:
    import numpy
except ImportError:
    numpy = None
try:
    import torch
except ImportError:
    torch = None


def seconds_of(act, scale):
    started = time.perf_counter()
    act()
    return scale * (time.perf_counter() - started)


def numpy_samplers(p, n, batch, batches):
    def per_batch():
        for _ in range(batches):
            numpy.random.choice(n, size=batch, p=p)

    cumulative = numpy.cumsum(p)
    cumulative[-1] = 1.0
    return {
        "numpy choice per batch": (per_batch, n / (batch * batches)),
        "numpy choice at once": (lambda: numpy.random.choice(n, size=n, p=p), 1),
        "numpy kept cumulative sum": (
            lambda: numpy.searchsorted(cumulative, numpy.random.random(n), side="right"),
            1,
        ),
    }


def torch_samplers(p, n):
    weights = torch.tensor(p, dtype=torch.double)
    sampler = torch.utils.data.WeightedRandomSampler(weights, n, replacement=True)
    return {
        "torch WeightedRandomSampler": (lambda: list(sampler), 1),
        "torch multinomial": (lambda: torch.multinomial(weights, n, True), 1),
    }


def answer(value):
    print(json.dumps(value), flush=True)


def main():
    asked = json.loads(sys.stdin.readline())
    n = asked["n"]
    raw = [0.2 + (k * 7919 % 1000) / 210 for k in range(n)]
    total = sum(raw)
    p = [value / total for value in raw]
    samplers = {}
    if numpy is not None:
        one = numpy.array(p) / sum(p)
        samplers.update(numpy_samplers(one, n, asked["batch"], asked["batches"]))
    if torch is not None:
        samplers.update(torch_samplers(p, n))
    for act, _ in samplers.values():
        act()
    answer(
        {
            "python": sys.version.split()[0],
            "numpy": getattr(numpy, "__version__", None),
            "torch": getattr(torch, "__version__", None),
        }
    )
    for _ in sys.stdin:
        answer({name: seconds_of(*given) for name, given in samplers.items()})


main()
