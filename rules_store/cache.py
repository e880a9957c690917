"""The newest snapshot at hand: loaded once, then refreshed by a thread of its own.

The generation is asked for again and again; where it moved, everything is read and compiled off
the worker's thread, and the finished snapshot takes the old one's place in one assignment. While
the database is away the last good snapshot goes on serving, and its age grows (R42).
"""

import gc
import logging
import threading
from collections.abc import Callable
from datetime import timedelta

from rules_store.ports import RulesStore
from rules_store.snapshot import Snapshot
from schemas.errors import PushError, Temporary
from schemas.vocabulary import Generation

logger = logging.getLogger(__name__)

#: Between attempts to load the first rules while the database is away.
PAUSE = timedelta(seconds=1)

Monotonic = Callable[[], float]  # seconds that only grow


class RulesCache:
    """Keeps the compiled rules of a store at most one poll behind it."""

    def __init__(self, store: RulesStore, poll: timedelta, monotonic: Monotonic) -> None:
        self._store = store
        self._poll = poll.total_seconds()
        self._monotonic = monotonic
        self._snapshot: Snapshot | None = None
        self._known_at = monotonic()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self.load_failures = 0  #: times that the store could not be asked or read
        self._failures_in_a_row = 0

    def start(self, stop: threading.Event) -> None:
        """Load the rules, waiting while the database is away, and keep them fresh from then on.

        Return without rules only if `stop` is set meanwhile. Raise `Fatal` where waiting is no
        help, `SchemaOutdated` above all.
        """
        while not stop.is_set():
            try:
                self._load()
            except Temporary as error:
                self._count_failure(error)
                stop.wait(PAUSE.total_seconds())
            else:
                # What is loaded now stays: the collector need not look through it ever again.
                gc.collect()
                gc.freeze()
                self._thread = threading.Thread(target=self._keep_fresh, name="rules", daemon=True)
                self._thread.start()
                return

    def stop(self) -> None:
        """End the refreshing; the last snapshot stays at hand."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout=5)

    @property
    def is_loaded(self) -> bool:
        """Say whether there are rules to decide with."""
        return self._snapshot is not None

    def current(self) -> Snapshot:
        """Return the newest snapshot; ask between batches, and keep the answer for a whole one."""
        if self._snapshot is None:
            raise LookupError("no rules are loaded yet")
        return self._snapshot

    @property
    def generation(self) -> Generation:
        """Return the generation of the newest snapshot, 0 before there is one."""
        return Generation(0) if self._snapshot is None else self._snapshot.generation

    def age_seconds(self, now: float) -> float:
        """Return how long ago the rules were last known to be the store's; `now` is monotonic."""
        return max(0.0, now - self._known_at)

    def refresh(self) -> None:
        """Ask the store once, and load if its generation moved; keep what is there if it fails."""
        asked_at = self._monotonic()
        try:
            if self._store.generation() == self.generation:
                self._note_success(asked_at)
            else:
                self._load()
        except PushError as error:  # also a fatal one: the last good rules go on serving
            self._count_failure(error)

    def _load(self) -> None:
        asked_at = self._monotonic()
        loaded = self._store.load()
        snapshot = Snapshot.compile(loaded.rules, loaded.rejected)
        self._snapshot = snapshot
        self._note_success(asked_at)
        logger.info(
            "rules_swapped",
            extra={
                "generation": snapshot.generation,
                "tenants": len(snapshot.entries),
                "rejected_rules": snapshot.rejected_rules,
                "seconds": round(self._monotonic() - asked_at, 3),
            },
        )

    def _keep_fresh(self) -> None:
        while not self._stopping.wait(self._poll):
            self.refresh()

    def _note_success(self, asked_at: float) -> None:
        self._known_at = asked_at
        if self._failures_in_a_row:
            logger.info("rules_available", extra={"failures": self._failures_in_a_row})
            self._failures_in_a_row = 0

    def _count_failure(self, error: PushError) -> None:
        """Count, and log the first failure in a row, the second, the fourth and so on."""
        self.load_failures += 1
        self._failures_in_a_row += 1
        if self._failures_in_a_row.bit_count() == 1:
            logger.warning(
                "rules_unavailable",
                extra={
                    "error_type": type(error).__name__,
                    "detail": str(error),
                    "failures": self._failures_in_a_row,
                    "age_seconds": round(self.age_seconds(self._monotonic()), 1),
                },
            )
