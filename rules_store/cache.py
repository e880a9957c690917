"""The newest snapshot at hand: loaded once, then kept fresh by a thread of its own.

The generation is asked for again and again; where it moved, what changed is read and packed off
the worker's thread, and the finished snapshot takes the old one's place in one assignment. The slow
re-read has another thread, since it takes breaks and no change may wait for it. While the database
is away the last good snapshot goes on serving, and its age grows (R42).
"""

import gc
import logging
import random
import threading
from collections.abc import Callable, Mapping
from datetime import timedelta

from rules_store.entries import TenantEntry
from rules_store.rereading import Rereading
from rules_store.snapshot import Snapshot
from rules_store.sources import Progress, RulesSource
from schemas.errors import PushError, Temporary
from schemas.vocabulary import Generation, TenantId

logger = logging.getLogger(__name__)

#: Between attempts to load the first rules while the database is away.
PAUSE = timedelta(seconds=1)

#: How long a round through all tenants takes that reads each of them again.
ROUND = timedelta(hours=1)

TELL_EVERY = 2.0  # seconds between two lines about a load

Monotonic = Callable[[], float]  # seconds that only grow


class _Stopped(Exception):
    """A load was broken off because the process stops."""


def _unwatched() -> None:
    """Tell nobody of a step."""


class RulesCache:
    """Keeps the compiled rules of a store at most one poll behind it."""

    def __init__(
        self,
        source: RulesSource,
        poll: timedelta,
        monotonic: Monotonic,
        round_: timedelta = ROUND,
        beat: Callable[[], None] = _unwatched,
    ) -> None:
        """Make a cache without rules; `beat` is called while the first ones are loaded."""
        self._source = source
        self._poll = poll.total_seconds()
        self._monotonic = monotonic
        self._beat = beat
        self._rereading = Rereading(source, round_, monotonic)
        self._snapshot: Snapshot | None = None
        self._known_at = monotonic()
        self._stopping = threading.Event()
        self._woken = threading.Event()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()  # two threads swap and count
        self.load_failures = 0  #: times that the store could not be asked or read
        self.healed = 0  #: tenants that a re-read found other than the generations told
        self._failures_in_a_row = 0

    def start(self, stop: threading.Event) -> None:
        """Load the rules, waiting while the database is away, and keep them fresh from then on.

        Return without rules only if `stop` is set meanwhile. Raise `Fatal` where waiting is no
        help, `SchemaOutdated` above all.
        """
        while not stop.is_set():
            try:
                self._load(_Telling(self._monotonic, self._beat, stop))
            except _Stopped:
                return
            except Temporary as error:
                self._count_failure(error)
                self._beat()
                stop.wait(PAUSE.total_seconds())
            else:
                # What is loaded now stays: the collector need not look through it ever again.
                gc.collect()
                gc.freeze()
                self._start(self._keep_fresh, "rules")
                self._start(self._keep_healed, "rules-reread")
                return

    def _start(self, run: Callable[[], None], name: str) -> None:
        self._threads.append(threading.Thread(target=run, name=name, daemon=True))
        self._threads[-1].start()

    def stop(self) -> None:
        """End the refreshing; the last snapshot stays at hand."""
        self._stopping.set()
        self._woken.set()
        for thread in self._threads:
            thread.join(timeout=5)

    def wake(self) -> None:
        """Ask the store now instead of at the next poll: somebody says that rules have changed."""
        self._woken.set()

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
        """Ask the store once, and read what changed; keep what is there if it fails."""
        asked_at = self._monotonic()
        try:
            newest = self._source.generation()
            if newest > self.generation:
                self._take_changes()
            elif newest < self.generation:  # a database restored from a backup counts on from there
                self._load(_Telling(self._monotonic, _unwatched, self._stopping))
            self._note_success(asked_at)
        except _Stopped:
            return
        except PushError as error:  # also a fatal one: the last good rules go on serving
            self._count_failure(error)

    def reread(self) -> None:
        """Read the next few tenants again if it is time, and heal what is not as it should be."""
        snapshot = self.current()
        if not self._rereading.is_due(snapshot):
            return
        try:
            healed = self._rereading.next_slice(snapshot)
        except PushError as error:
            self._count_failure(error)
            return
        if healed:
            self._heal(healed, snapshot)

    def _heal(self, healed: Mapping[TenantId, TenantEntry | None], compared_with: Snapshot) -> None:
        """Take what a re-read found, but for tenants that a refresh has brought in meanwhile."""
        with self._lock:
            current = self.current()
            still = {
                name: entry
                for name, entry in healed.items()
                if current.entries.find(name) is compared_with.entries.find(name)
            }
            self._snapshot = current.with_entries(current.generation, still)
        if still:
            self.healed += len(still)
            logger.warning("rules_healed", extra={"tenants": sorted(map(str, still))[:10]})

    def _take_changes(self) -> None:
        began = self._monotonic()
        changes = self._source.changes(self.generation)
        with self._lock:
            self._snapshot = self.current().with_entries(changes.generation, changes.entries)
        self._tell_swapped(len(changes.entries), began)

    def _load(self, tell: Callable[[Progress], None]) -> None:
        began = self._monotonic()
        loaded = self._source.load(tell)
        with self._lock:
            self._snapshot = loaded
        self._tell_swapped(len(self._snapshot.entries), began)
        self._note_success(began)

    def _tell_swapped(self, tenants: int, began: float) -> None:
        snapshot = self.current()
        fields = {
            "generation": snapshot.generation,
            "tenants": tenants,
            "rejected_rules": snapshot.rejected_rules,
            "seconds": round(self._monotonic() - began, 3),
        }
        logger.info("rules_swapped", extra=fields)

    def _keep_fresh(self) -> None:
        while not self._stopping.is_set():
            # Workers that were started together need not ask together ever after.
            self._woken.wait(self._poll * random.uniform(0.8, 1.2))  # noqa: S311  # no secret
            self._woken.clear()
            if not self._stopping.is_set():
                self.refresh()

    def _keep_healed(self) -> None:
        while not self._stopping.wait(self._poll):
            self.reread()

    def _note_success(self, asked_at: float) -> None:
        self._known_at = asked_at
        if self._failures_in_a_row:
            logger.info("rules_available", extra={"failures": self._failures_in_a_row})
            self._failures_in_a_row = 0

    def _count_failure(self, error: PushError) -> None:
        """Count, and log the first failure in a row, the second, the fourth and so on."""
        with self._lock:
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


class _Telling:
    """Says in the log how far a load is, and breaks it off when asked to stop."""

    def __init__(
        self, monotonic: Monotonic, beat: Callable[[], None], stop: threading.Event
    ) -> None:
        self._monotonic, self._beat, self._stop = monotonic, beat, stop
        self._told_at = monotonic()

    def __call__(self, progress: Progress) -> None:
        """Take in how far it is; see `RulesSource.load`."""
        if self._stop.is_set():
            raise _Stopped
        self._beat()
        if self._monotonic() - self._told_at >= TELL_EVERY:
            self._told_at = self._monotonic()
            fields = {
                "tenants": progress.tenants,
                "of_tenants": progress.of_tenants,
                "rules": progress.rules,
            }
            logger.info("rules_loading", extra=fields)
