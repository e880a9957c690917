"""The slow re-read: every tenant is read again now and then, whether it was changed or not.

It heals what no generation tells of: a trigger switched off, a history lost, rows brought in by a
restore. A round walks through the store's tenants, so that new ones are found, and through the
snapshot's, so that those are found that are gone. A slice is a few tenants, and the source takes
breaks while it reads them, so that no batch waits.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta

from rules_store.entries import TenantEntry
from rules_store.snapshot import Snapshot
from rules_store.sources import RulesSource
from schemas.vocabulary import TenantId

#: Most tenants of a slice.
SLICE = 25


class Rereading:
    """Walks through all tenants in rounds of a given length, as often as it is asked to."""

    def __init__(
        self, source: RulesSource, round_: timedelta, monotonic: Callable[[], float]
    ) -> None:
        self._source = source
        self._round = round_.total_seconds()
        self._monotonic = monotonic
        self._last = monotonic()
        self._due = 0.0  # tenants
        self._after: TenantId | None = None
        self._store_is_through = True
        self._known: list[TenantId] = []
        self.rounds = 0  #: that were begun

    def is_due(self, snapshot: Snapshot) -> bool:
        """Say whether it is time for the next slice, so that a round takes as long as it shall."""
        now = self._monotonic()
        tenants = max(len(snapshot.entries), 1)
        self._due = min(self._due + tenants * (now - self._last) / self._round, float(SLICE))
        self._last = now
        return self._due >= min(SLICE, tenants)

    def next_slice(self, snapshot: Snapshot) -> Mapping[TenantId, TenantEntry | None]:
        """Read the next tenants and return those that are not as the snapshot has them.

        None of them where the store has gone on to another generation: that is the refresh's.
        Raise what a `RulesSource` raises.
        """
        self._due = 0.0
        if self._store_is_through and not self._known:
            self._begin(snapshot)
        stored = [] if self._store_is_through else self._stored()
        known = self._known[-SLICE:]
        read = self._source.entries(tuple({*stored, *known}))
        if read.generation != snapshot.generation:
            return {}
        del self._known[-SLICE:]
        if stored:
            self._after = stored[-1]
        self._store_is_through = len(stored) < SLICE
        found = snapshot.entries.find
        return {name: entry for name, entry in read.entries.items() if entry != found(name)}

    def _begin(self, snapshot: Snapshot) -> None:
        self._after, self._store_is_through = None, False
        self._known = list(snapshot.entries)
        self.rounds += 1

    def _stored(self) -> list[TenantId]:
        return list(self._source.tenants_after(self._after, SLICE))
