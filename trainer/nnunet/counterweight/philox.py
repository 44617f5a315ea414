"""Philox4x32-10 (Salmon et al. 2011), many blocks at once: the random words that draws come from.

The counter of block b is (b, 0, 0, 0); words are used in the order x0, x1, x2, x3.
"""

import hashlib
import struct

import numpy as np

_LOW = np.uint64(0xFFFFFFFF)
_SHIFT = np.uint64(32)
_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_KEY_STEPS = (0x9E3779B9, 0xBB67AE85)


def philox_blocks(key, first_block, count):
    """Words of `count` blocks from `first_block` on: uint64 values under 2^32, shape [4 * count].

    `key` is two words. The counter is a 32-bit word, as in Random123's known answers.
    """
    x0 = np.arange(first_block, first_block + count, dtype=np.uint64)
    x1, x2, x3 = (np.zeros(count, dtype=np.uint64) for _ in range(3))
    k0, k1 = (int(word) for word in key)
    for _ in range(10):
        a, b = _MULTIPLIERS[0] * x0, _MULTIPLIERS[1] * x2
        x0, x1, x2, x3 = (
            (b >> _SHIFT) ^ x1 ^ np.uint64(k0),
            b & _LOW,
            (a >> _SHIFT) ^ x3 ^ np.uint64(k1),
            a & _LOW,
        )
        k0, k1 = (k0 + _KEY_STEPS[0]) & 0xFFFFFFFF, (k1 + _KEY_STEPS[1]) & 0xFFFFFFFF
    return np.stack([x0, x1, x2, x3], axis=1).reshape(-1)


def key_of(text):
    """The key of a text: the first eight bytes of its SHA-256 as two little-endian words."""
    return struct.unpack("<2I", hashlib.sha256(text.encode()).digest()[:8])


class Words:
    """One stream of random words, taken in any portions."""

    def __init__(self, key):
        self._key = key
        self._block = 0
        self._rest = np.zeros(0, dtype=np.uint64)

    def take(self, count):
        """The next `count` words, shape [count]."""
        missing = count - len(self._rest)
        if missing > 0:
            blocks = -(-missing // 4)
            fresh = philox_blocks(self._key, self._block, blocks)
            self._block += blocks
            self._rest = np.concatenate([self._rest, fresh])
        taken, self._rest = self._rest[:count], self._rest[count:]
        return taken

    def below52(self):
        """A whole number under 2^52 (METHOD.md section 6)."""
        high, low = (int(word) for word in self.take(2))
        return (high >> 12) * 2**32 + low

    def below_each(self, bounds):
        """For each bound n <= 2^32 a number under n, one word each; rejected words are left out.

        `bounds`: uint64, shape [count]; answers int64 of that shape.
        """
        bounds = np.asarray(bounds, dtype=np.uint64)
        limits = (np.uint64(2**32) // bounds) * bounds
        words = self.take(len(bounds))
        place = 0
        while True:
            refused = np.flatnonzero(words[place:] >= limits[place:])
            if len(refused) == 0:
                return (words % bounds).astype(np.int64)
            place += int(refused[0])
            words = np.concatenate([words[:place], words[place + 1 :], self.take(1)])
