"""Ids in little memory: a map from a key's digest to two numbers that forgets the oldest first.

A dict of bytes takes some 200 bytes an id, and there are half a million. Here the entries lie in
flat arrays in the order of their coming, 32 bytes each, and a table of four-byte numbers with open
addressing (linear probing, at most half full) finds them: some 50 bytes an id (measured).
"""

from array import array
from hashlib import blake2b
from struct import Struct

_DIGEST = Struct("<QQ")  # 128 bits: no two keys will ever share one
_SMALLEST = 64  # slots of an empty table
_LAST = 2**32 - 1  # what a slot can hold


class CompactIds:
    """Keys with an offset and a time each, in the order of their coming."""

    def __init__(self) -> None:
        self._highs, self._lows = array("Q"), array("Q")  # the halves of the digests
        self._offsets, self._times = array("Q"), array("Q")
        self._head = 0  # entries before it have been forgotten
        self._base = 0  # the number of the entry that lies first in the arrays
        self._table = array("I", bytes(4 * _SMALLEST))  # number of an entry + 1; 0: free
        self._used = 0  # slots in use

    def __len__(self) -> int:
        return len(self._times) - self._head

    @property
    def oldest(self) -> int:
        """Return the time of the entry that came first; there must be one."""
        return self._times[self._head]

    @property
    def furthest(self) -> int | None:
        """Return the greatest offset of all entries; None where there are none."""
        return max(self._offsets[self._head :], default=None)

    def get(self, key: bytes) -> tuple[int, int] | None:
        """Return the offset and the time of a key's newest entry."""
        high, low = _DIGEST.unpack(blake2b(key, digest_size=16).digest())
        slot = self._slot(high, low)
        number = self._table[slot]
        if not number:
            return None
        at = number - 1 - self._base
        return self._offsets[at], self._times[at]

    def add(self, key: bytes, offset: int, time: int) -> None:
        """Add an entry; an older one of the same key is found no more."""
        if 2 * self._used >= len(self._table) or self._base + len(self._times) >= _LAST:
            self._rebuild(2 * len(self))
        high, low = _DIGEST.unpack(blake2b(key, digest_size=16).digest())
        slot = self._slot(high, low)
        self._used += not self._table[slot]
        self._table[slot] = self._base + len(self._times) + 1
        self._highs.append(high)
        self._lows.append(low)
        self._offsets.append(offset)
        self._times.append(time)

    def forget_oldest(self) -> int:
        """Forget the entry that came first and return its time."""
        at = self._head
        slot = self._slot(self._highs[at], self._lows[at])
        if self._table[slot] == self._base + at + 1:  # else a newer entry of the key is found there
            self._free(slot)
        self._head += 1
        time = self._times[at]
        if 8 * self._head > len(self._times):
            self._drop_forgotten()
        return time

    def _slot(self, high: int, low: int) -> int:
        """Return where a digest's number stands, or the free slot where it would."""
        table, base, highs, lows = self._table, self._base, self._highs, self._lows
        mask = len(table) - 1
        slot = high & mask
        while number := table[slot]:
            at = number - 1 - base
            if highs[at] == high and lows[at] == low:
                break
            slot = (slot + 1) & mask
        return slot

    def _free(self, slot: int) -> None:
        """Free a slot and close the gap, so that no search ends too early (Knuth, 6.4, R)."""
        table, base, highs = self._table, self._base, self._highs
        mask = len(table) - 1
        gap = slot
        while number := table[slot := (slot + 1) & mask]:
            home = highs[number - 1 - base] & mask
            if (slot - home) & mask >= (slot - gap) & mask:
                table[gap] = number
                gap = slot
        table[gap] = 0
        self._used -= 1

    def _drop_forgotten(self) -> None:
        for column in (self._highs, self._lows, self._offsets, self._times):
            del column[: self._head]
        self._base += self._head
        self._head = 0

    def _rebuild(self, entries: int) -> None:
        self._drop_forgotten()
        slots = _SMALLEST
        while slots <= 2 * entries:
            slots *= 2
        self._base, self._used = 0, 0
        self._table = array("I", bytes(4 * slots))
        for at in range(len(self._times)):
            slot = self._slot(self._highs[at], self._lows[at])
            self._used += not self._table[slot]
            self._table[slot] = at + 1
