"""Buffers what a run says, numbers it and sends it from a thread: every few seconds, and with a
heartbeat where nothing happens. One report is under way at a time, so order needs no bookkeeping.
"""

import json
import math
import os
import threading

from .problems import TrainerError

_MOST_METRICS, _MOST_LOSSES, _MOST_BYTES = 5_000, 100_000, 900_000
_LOG_TAIL = 16_384


class Reporter:
    """What is added goes out in the order of adding; nothing is dropped while the service is away.

    `failed` is the error that ended the reporting, `stop` whether the service asked for an end,
    `switch` the last `{digest, fromEpoch}` that any answer named.
    """

    def __init__(self, service, folder, attempt, next_sequence, send_every=5.0, heartbeat=30.0):
        self._service = service
        self._file = os.path.join(folder, f"sequence-{attempt}.json")
        self._sequence = max(next_sequence, _stored_sequence(self._file))
        self._waiting = _empty()
        self._log = ""
        self._lock, self._sending = threading.Lock(), threading.Lock()
        self._wake, self._closed = threading.Event(), False
        self._send_every, self._heartbeat = send_every, heartbeat
        self.failed, self.stop, self.switch = None, False, None
        self._thread = threading.Thread(target=self._run, daemon=True, name="reporter")
        self._thread.start()

    def __repr__(self):
        return f"Reporter(next sequence {self._sequence})"

    def add(self, metrics=(), case_losses=(), ledger=(), **latest):
        """Adds to the next report; numbers that JSON cannot carry are left out."""
        with self._lock:
            waiting = self._waiting
            waiting["metrics"] += [one for one in metrics if math.isfinite(one["value"])]
            waiting["caseLosses"] += [one for one in case_losses if math.isfinite(one["loss"])]
            self._waiting["ledger"] += list(ledger)
            self._waiting["latest"].update(latest)

    def log(self, text):
        """Adds to the log tail."""
        with self._lock:
            self._log = f"{self._log}{text}\n"[-_LOG_TAIL:]

    def flush(self):
        """Sends all that was added and waits for the answer. Raises what ended the reporting."""
        with self._sending:
            self._send()
        if self.failed:
            raise self.failed

    def close(self):
        """Ends the thread; what waits is not sent."""
        self._closed = True
        self._wake.set()
        self._thread.join(timeout=10)

    def _run(self):
        quiet = 0.0
        while not self._wake.wait(self._send_every) and not self.failed:
            quiet += self._send_every
            if self._has_news() or quiet >= self._heartbeat:
                quiet = 0.0
                with self._sending:
                    self._send()

    def _has_news(self):
        with self._lock:
            return bool(self._log or any(self._waiting.values()))

    def _send(self):
        if self.failed or self._closed:
            return
        with self._lock:
            content, log = self._waiting, self._log
            self._waiting, self._log = _empty(), ""
        try:
            for body in report_bodies(content, log):
                _write_whole(self._file, {"next": self._sequence + 1})
                answer = self._service.report({"sequence": self._sequence, **body})
                self._sequence += 1
                self.stop = self.stop or bool(answer.get("stop"))
                self.switch = answer.get("snapshot", self.switch)
        except TrainerError as error:
            self.failed = error
        except Exception as error:  # kept, and raised where the run looks
            self.failed = TrainerError(f"reporting failed: {error}")


def report_bodies(content, log):
    """Bodies within the limits of a report; all but metrics and losses travels in the last."""
    metrics, losses = list(content["metrics"]), list(content["caseLosses"])
    bodies = []
    while not bodies or metrics or losses:
        room = _MOST_BYTES - len(json.dumps(log)) - 300 * len(content["ledger"])
        body = {}
        for name, items, most in (
            ("metrics", metrics, _MOST_METRICS),
            ("caseLosses", losses, _MOST_LOSSES),
        ):
            taken = _within(items, most, room)
            room -= sum(_bytes(item) for item in taken)
            del items[: len(taken)]
            if taken:
                body[name] = taken
        bodies.append(body)
    bodies[-1].update(content["latest"])
    if content["ledger"]:
        bodies[-1]["ledger"] = content["ledger"]
    if log:
        bodies[-1]["log"] = log
    return bodies


def _within(items, most, room):
    taken = []
    for item in items[:most]:
        room -= _bytes(item)
        if room < 0:
            break
        taken.append(item)
    return taken


def _bytes(item):
    return len(json.dumps(item)) + 2


def _empty():
    return {"metrics": [], "caseLosses": [], "ledger": [], "latest": {}}


def _stored_sequence(path):
    try:
        with open(path, encoding="utf-8") as file:
            return int(json.load(file)["next"])
    except (OSError, ValueError, KeyError):
        return 0


def _write_whole(path, value):
    with open(f"{path}.partial", "w", encoding="utf-8") as file:
        json.dump(value, file)
    os.replace(f"{path}.partial", path)
