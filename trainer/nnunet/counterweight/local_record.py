"""What a run without a service writes instead of reports: one line per ledger range and metric."""

import json
import os


class LocalRecord:
    """Has the reporter's functions. Files: counterweight-{ledger,metrics}.ndjson."""

    failed, stop, switch = None, False, None

    def __init__(self, folder, seed):
        self._folder, self._seed = folder, seed

    def __repr__(self):
        return f"LocalRecord({self._folder})"

    def add(self, metrics=(), case_losses=(), ledger=(), **_latest):
        """Appends ledger ranges with the seed they need for a replay, and metrics but for steps."""
        self._append("counterweight-ledger.ndjson", [{"seed": self._seed, **one} for one in ledger])
        kept = [one for one in metrics if one["name"] not in ("loss", "gradientNorm")]
        self._append("counterweight-metrics.ndjson", kept)

    def _append(self, name, lines):
        if lines:
            with open(os.path.join(self._folder, name), "a", encoding="utf-8") as file:
                file.writelines(json.dumps(line) + "\n" for line in lines)

    def log(self, text):
        """nnU-Net's own log file has it."""

    def flush(self):
        """Every line is written when it is added."""

    def close(self):
        """Nothing is open."""
