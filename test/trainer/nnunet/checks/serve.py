"""Runs checks of one module by name: a name a line in, a line of JSON out; torch is loaded once."""

import importlib
import json
import os
import sys
import traceback

answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # what nnU-Net prints is no answer
module = importlib.import_module(sys.argv[1])
for line in sys.stdin:
    try:
        found = getattr(module, line.strip())()
        answer = {"ok": True, "found": found}
    except BaseException:
        answer = {"ok": False, "error": traceback.format_exc()}
    print(json.dumps(answer), file=answers, flush=True)
