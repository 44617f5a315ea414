"""Seconds of one epoch's draws with the samplers that people use, asked for by one JSON line.

Reads {"n": cases, "runs": runs}; answers {name: median seconds} or {name: null} where the package
is missing, and the versions of the packages. The first run of each is a warm-up and not counted.
"""

import json
import statistics
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


def median_seconds(act, runs):
    act()
    times = []
    for _ in range(runs):
        started = time.perf_counter()
        act()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


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


def main():
    asked = json.loads(sys.stdin.readline())
    n, runs, batch = asked["n"], asked["runs"], asked["batch"]
    raw = [0.2 + (k * 7919 % 1000) / 210 for k in range(n)]
    total = sum(raw)
    p = [value / total for value in raw]
    seconds = {}
    if numpy is not None:
        found = numpy_samplers(numpy.array(p) / sum(p), n, batch, asked["batches"])
        for name, (act, scale) in found.items():
            seconds[name] = scale * median_seconds(act, runs)
    if torch is not None:
        for name, (act, scale) in torch_samplers(p, n).items():
            seconds[name] = scale * median_seconds(act, runs)
    versions = {
        "python": sys.version.split()[0],
        "numpy": getattr(numpy, "__version__", None),
        "torch": getattr(torch, "__version__", None),
    }
    print(json.dumps({"seconds": seconds, "versions": versions}))


main()
