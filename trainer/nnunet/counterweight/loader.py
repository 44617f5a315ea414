"""nnU-Net's own training loader, made to follow a plan. It lives in the installed package so that
background workers, also spawned ones, can import it.
"""

import hashlib
import multiprocessing
import os
import queue
from contextlib import contextmanager

import numpy as np
import torch
from batchgenerators.dataloading.multi_threaded_augmenter import MultiThreadedAugmenter
from batchgenerators.dataloading.nondet_multi_threaded_augmenter import (
    NonDetMultiThreadedAugmenter,
)
from batchgenerators.dataloading.single_threaded_augmenter import SingleThreadedAugmenter

_LOOK_EVERY_SECONDS = 0.5


class PlannedLoader:
    """Batches of planned cases, in plan order where one process makes them.

    Worker k of n makes batches k, k + n, ... of what `order` announces; the augmenter that reads
    the workers in turn then has plan order again. Cropping and augmentation of a batch depend on
    seed, epoch and position alone, so they do not depend on the number of workers.
    """

    def __init__(self, stock, seed, workers):
        self._stock = stock
        self._seed = seed
        self._workers = workers
        self._orders = [multiprocessing.Queue() for _ in range(workers)] or [queue.SimpleQueue()]
        self._worker = 0
        self._announced = 0
        self._waiting = iter(())
        self._ids = None
        self._closed = False
        stock.get_indices = self._drawn

    def set_thread_id(self, number):
        """nnU-Net tells each worker its number once, before the first batch."""
        torch.set_num_threads(1)  # a forked worker would wait for its parent's, which it lacks
        self._worker = number
        self._stock.set_thread_id(number)

    def order(self, epoch, plan, start, batch_size):
        """Announces the draws of `plan` from `start` on, as batches of one epoch."""
        batches = [
            (epoch, place, plan[place : place + batch_size])
            for place in range(start, len(plan), batch_size)
        ]
        count, turn = len(self._orders), self._announced
        for number, orders in enumerate(self._orders):
            orders.put(batches[(number - turn) % count :: count])
        self._announced += len(batches)  # the reading in turn goes on across epochs

    def close(self):
        """Ends the workers' waiting, so that the augmenter can end them without a delay."""
        for orders in self._orders:
            orders.put(None)

    def __iter__(self):
        return self

    def __next__(self):
        batch = next(self._waiting, None)
        while batch is None:
            order = None if self._closed else self._next_order()
            if order is None:
                self._closed = True
                raise StopIteration
            self._waiting = iter(order)
            batch = next(self._waiting, None)
        epoch, place, self._ids = batch
        with _seeded(f"counterweight/patches/1|{self._seed}|{epoch}|{place}"):
            return self._stock.generate_train_batch()

    def _next_order(self):
        orders = self._orders[self._worker]
        if self._workers == 0:
            return orders.get_nowait()
        parent = multiprocessing.parent_process()
        while True:
            try:
                return orders.get(timeout=_LOOK_EVERY_SECONDS)
            except queue.Empty:
                if parent is not None and not parent.is_alive():
                    raise SystemExit(0) from None

    def _drawn(self):
        return self._ids


@contextmanager
def _seeded(text):
    """Random numbers of numpy and torch that belong to a text; those of the process go on after."""
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "little")
    before, torch_before = np.random.get_state(), torch.get_rng_state()
    np.random.seed(seed)
    torch.manual_seed(seed)
    try:
        yield
    finally:
        np.random.set_state(before)
        torch.set_rng_state(torch_before)


@contextmanager
def one_thread():
    """nnU-Net makes its loaders without workers for a moment."""
    name = "nnUNet_n_proc_DA"
    before = os.environ.get(name)
    os.environ[name] = "0"
    try:
        yield
    finally:
        os.environ.pop(name)
        if before is not None:
            os.environ[name] = before


def augmenters(planned, stock_val, workers, pin_memory):
    """Readers of the planned loader, in plan order, and of nnU-Net's validation loader.

    Both work ahead of the step where there are workers; validation as the stock trainer does it.
    """
    if workers == 0:
        return SingleThreadedAugmenter(planned, None), SingleThreadedAugmenter(stock_val, None)
    often = {"pin_memory": pin_memory, "wait_time": 0.002}
    return (
        MultiThreadedAugmenter(planned, None, workers, num_cached_per_queue=2, **often),
        NonDetMultiThreadedAugmenter(
            stock_val, None, max(1, workers // 2), num_cached=max(3, workers // 4), **often
        ),
    )


def stock_loader_of(augmenter):
    """The loader inside any of nnU-Net's augmenters."""
    return getattr(augmenter, "data_loader", None) or augmenter.generator
