"""How many mails wait, counted now and then, so that a scrape need not wait for a database."""

import threading

from mailer.ports import Ledger
from schemas.errors import LedgerUnavailable

EVERY = 5.0  # seconds


class LedgerCount:
    """Counts by a thread of its own; None while the ledger gives no answer."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._waiting: int | None = None
        self._was_known = False

    def waiting(self) -> int | None:
        """Return how many mails were in the ledger and not done when it was last asked."""
        return self._waiting

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
            self._waiting = sum(self._ledger.counts().values())
            self._was_known = True
        except LedgerUnavailable:
            self._waiting = None
