#!/usr/bin/env python3
"""Recomputes a snapshot's digest and an epoch's draws, with Python's standard library alone.

An outside check: written from METHOD.md sections 5 and 6, it shares no code with the service.
"""

import argparse
import decimal
import hashlib
import json
import struct
import sys

UNITS = 2**52
CHUNK = 8192


def canonical_number(value):
    """A number as RFC 8785 (that is, ECMAScript) writes it: 5 and 5.0 are both "5"."""
    if isinstance(value, int) or value.is_integer() and abs(value) < 1e21:
        return str(int(value))
    sign, digits, exponent = decimal.Decimal(repr(value)).normalize().as_tuple()
    text, point = "".join(map(str, digits)), len(digits) + exponent
    if 0 < point <= 21:
        body = text[:point] + "." + text[point:]
    elif -6 < point <= 0:
        body = "0." + "0" * -point + text
    else:
        body = text[0] + ("." + text[1:] if text[1:] else "") + "e%+d" % (point - 1)
    return "-" * sign + body


def canonical_header(header):
    """RFC 8785 of a flat object with ASCII keys, which a snapshot's header is."""
    def shown(value):
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return canonical_number(value)
        return json.dumps(value, ensure_ascii=False)

    return "{" + ",".join(f"{json.dumps(key)}:{shown(header[key])}" for key in sorted(header)) + "}"


def snapshot_digest(header, cases):
    """METHOD.md section 5; cases are already in id order."""
    whole = hashlib.sha256(canonical_header(header).encode() + b"\n")
    for start in range(0, len(cases), CHUNK):
        chunk = hashlib.sha256()
        for case in cases[start : start + CHUNK]:
            factor = struct.pack(">d", case["lossFactor"]).hex()
            line = f"{case['id']}\t{case['targetUnits']}\t{case['drawUnits']}\t{factor}\n"
            chunk.update(line.encode())
        whole.update(chunk.digest())
    return "sha256:" + whole.hexdigest()


def philox(key, block):
    """Philox4x32-10 with the counter (block, 0, 0, 0)."""
    x0, x1, x2, x3 = block, 0, 0, 0
    k0, k1 = key
    for _ in range(10):
        a, b = 0xD2511F53 * x0, 0xCD9E8D57 * x2
        x0, x1, x2, x3 = b >> 32 ^ x1 ^ k0, b & 0xFFFFFFFF, a >> 32 ^ x3 ^ k1, a & 0xFFFFFFFF
        k0, k1 = k0 + 0x9E3779B9 & 0xFFFFFFFF, k1 + 0xBB67AE85 & 0xFFFFFFFF
    return x0, x1, x2, x3


def random_words(digest, seed, epoch):
    text = f"counterweight/draws/1|{digest}|{seed}|{epoch}"
    key = struct.unpack("<2I", hashlib.sha256(text.encode()).digest()[:8])
    block = 0
    while True:
        yield from philox(key, block)
        block += 1


def shuffle(items, words):
    for i in range(len(items) - 1, 0, -1):
        n = i + 1
        bound = 2**32 // n * n
        word = next(words)
        while word >= bound:
            word = next(words)
        j = word % n
        items[i], items[j] = items[j], items[i]


def planned_draws(digest, cases, seed, epoch, draws):
    """METHOD.md section 6: the ids of one epoch, in the order of drawing."""
    words = random_words(digest, seed, epoch)
    order = list(cases)
    shuffle(order, words)
    high, low = next(words), next(words)
    offset = (high >> 12) * 2**32 + low
    step, rest = divmod(UNITS, draws)
    picks, at, end = [], 0, int(order[0]["drawUnits"])
    for j in range(draws):
        point = j * step + (offset + j * rest) // draws
        while point >= end:
            at += 1
            end += int(order[at]["drawUnits"])
        picks.append(order[at]["id"])
    shuffle(picks, words)
    return picks


def ledger_digest(ids):
    return "sha256:" + hashlib.sha256("".join(f"{one}\n" for one in ids).encode()).hexdigest()


def read_stream(path, header_path):
    """The JSON export {digest, header, cases}; or NDJSON lines with the snapshot's JSON aside."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    if header_path is None:
        document = json.loads(text)
        return document["digest"], document["header"], document["cases"]
    with open(header_path, encoding="utf-8") as file:
        document = json.load(file)
    lines = [json.loads(line) for line in text.split("\n") if line.strip()]
    return document["digest"], document["header"], lines


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stream", help="cases of a snapshot: the JSON export, or NDJSON")
    parser.add_argument("--header", help="with NDJSON: the snapshot's JSON, {digest, header}")
    plan = {"nargs": 3, "type": int, "action": "append", "metavar": ("SEED", "EPOCH", "DRAWS")}
    parser.add_argument("--plan", default=[], help="replay this epoch; may be repeated", **plan)
    for name in ("seed", "epoch", "draws"):
        parser.add_argument(f"--{name}", type=int, help="of one epoch; all three or none")
    options = parser.parse_args()
    one = (options.seed, options.epoch, options.draws)
    if None not in one:
        options.plan.append(one)
    elif one != (None, None, None):
        parser.error("--seed, --epoch and --draws belong together")
    stated, header, cases = read_stream(options.stream, options.header)
    cases.sort(key=lambda case: case["id"].encode())
    digest = snapshot_digest(header, cases)
    sums = {name: sum(int(case[name]) for case in cases) for name in ("targetUnits", "drawUnits")}
    faults = [f"{name} sum to {total}, not 2^52" for name, total in sums.items() if total != UNITS]
    if digest != stated:
        faults.append(f"the digest is {digest}, not {stated} as stated")
    for fault in faults:
        print(fault, file=sys.stderr)
    print(json.dumps({"digest": digest, "agrees": not faults, "caseCount": len(cases)}))
    for seed, epoch, draws in options.plan if not faults else []:
        ids = planned_draws(digest, cases, seed, epoch, draws)
        answer = {"seed": seed, "epoch": epoch, "draws": draws, "ledger": ledger_digest(ids)}
        print(json.dumps({**answer, "first": ids[:12]}, ensure_ascii=False))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
