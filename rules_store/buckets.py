"""A mapping that is replaced, never changed, and shares what stays the same with the one before.

Keys lie in a fixed number of buckets. To replace one value copies its bucket and the list of
buckets, a few microseconds however many keys there are; the old mapping goes on to answer as ever.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

_BUCKETS = 1024  # a power of two; with a million keys a bucket holds about a thousand
_LAST = _BUCKETS - 1

K = TypeVar("K")
V = TypeVar("V")


class Buckets(Mapping[K, V]):
    """An immutable mapping by hash."""

    __slots__ = ("_buckets", "_count")

    def __init__(self, items: Iterable[tuple[K, V]] = ()) -> None:
        buckets: list[dict[K, V]] = [{} for _ in range(_BUCKETS)]
        for key, value in items:
            buckets[hash(key) & _LAST][key] = value
        self._buckets = tuple(buckets)
        self._count = sum(map(len, buckets))

    def with_changes(self, changes: Mapping[K, V | None]) -> "Buckets[K, V]":
        """Return a mapping with these values instead; None takes a key away."""
        buckets = list(self._buckets)
        for at in {hash(key) & _LAST for key in changes}:
            buckets[at] = dict(buckets[at])
        for key, value in changes.items():
            bucket = buckets[hash(key) & _LAST]
            if value is None:
                bucket.pop(key, None)
            else:
                bucket[key] = value
        changed: Buckets[K, V] = Buckets.__new__(Buckets)
        changed._buckets = tuple(buckets)
        changed._count = sum(map(len, buckets))
        return changed

    def find(self, key: K) -> V | None:
        """Return the value, or None where there is none: the one call of the hot path."""
        return self._buckets[hash(key) & _LAST].get(key)

    def __getitem__(self, key: K) -> V:
        return self._buckets[hash(key) & _LAST][key]

    def __contains__(self, key: object) -> bool:
        return key in self._buckets[hash(key) & _LAST]

    def __iter__(self) -> Iterator[K]:
        for bucket in self._buckets:
            yield from bucket

    def __len__(self) -> int:
        return self._count
