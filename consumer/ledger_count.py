"""How many mails wait, counted now and then, so that a scrape need not wait for a database."""

import threading
from collections.abc import Mapping

from mailer.ports import Ledger
from mailer.results import State
from schemas.errors import LedgerUnavailable

EVERY = 5.0  # seconds


class LedgerCount:
    """Counts by a thread of its own; None while the ledger gives no answer."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._counts: Mapping[State, int] | None = None
        self._was_known = False

    def counts(self) -> Mapping[State, int] | None:
        """Return how many mails were in each state that is not final when it was last asked."""
        return self._counts

    def waiting(self) -> int | None:
        """Return how many of them are due by themselves, sooner or later."""
        counts = self._counts
        return None if counts is None else counts[State.WAITING] + counts[State.CLAIMED]

    def held(self) -> int | None:
        """Return how many of them an operator must look at."""
        return None if self._counts is None else self._counts[State.HELD]

    def is_known(self) -> bool:
        """Say whether the ledger ever answered."""
        return self._was_known

    def keep_counting(self, stop: threading.Event) -> None:
        """Count until asked to stop."""
        while not stop.is_set():
            self.count()
            stop.wait(EVERY)

    def count(self) -> None:
        """Ask the ledger once."""
        try:
            self._counts = self._ledger.counts()
            self._was_known = True
        except LedgerUnavailable:
            self._counts = None
