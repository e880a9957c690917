"""What keeps the ledger small and its promises about time: addresses, rows, suppressions, trials.

In slices, with a breath between them, so that it never stands in the way of a delivery.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from mailer.ports import Ledger, Upkeep
from schemas.errors import LedgerUnavailable

logger = logging.getLogger(__name__)

SLICE = 500  #: rows
_BREATH = 0.2  # seconds between two slices


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeper:
    """Runs every so often. `due` is called first: what else waits for the ledger to answer."""

    ledger: Ledger
    upkeep: Upkeep
    due: Callable[[], None]
    addresses: timedelta = timedelta(days=30)  #: how long the address of an ended mail is kept
    mails: timedelta = timedelta(days=400)  #: longer than any topic's retention: no mail twice
    every: timedelta = timedelta(minutes=1)

    def run(self, stop: threading.Event) -> None:
        """Keep the ledger until stopped; while it is away, nothing is lost by waiting."""
        while not stop.is_set():
            try:
                self.due()
                self.ledger.end_trials(None)
                self._forget(stop)
            except LedgerUnavailable:
                logger.debug("upkeep_postponed")
            stop.wait(self.every.total_seconds())

    def _forget(self, stop: threading.Event) -> None:
        forgotten = {
            "addresses": _all(stop, lambda: self.upkeep.forget_addresses(self.addresses, SLICE)),
            "mails": _all(stop, lambda: self.upkeep.forget_mails(self.mails, SLICE)),
            "suppressions": _all(stop, lambda: self.upkeep.forget_suppressions(SLICE)),
        }
        if any(forgotten.values()):
            logger.info("ledger_kept", extra=forgotten)


def _all(stop: threading.Event, forget: Callable[[], int]) -> int:
    """Forget slice by slice and return how many those were."""
    total = last = forget()
    while last >= SLICE and not stop.wait(_BREATH):
        last = forget()
        total += last
    return total
