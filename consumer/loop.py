"""Collect a batch, do its work, settle it: what both daemons run. Each batch takes effect once."""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain, repeat
from time import perf_counter

from consumer.ports import EventStream, Work
from schemas.errors import Temporary
from schemas.records import Batch

logger = logging.getLogger(__name__)

#: The waits after 1, 2, … failures in a row; the last goes on. All stay below the 30 s that
#: `max.poll.interval.ms` leaves room for.
SCHEDULE = tuple(timedelta(seconds=s) for s in (0.1, 0.5, 1, 2, 5, 10))


@dataclass(frozen=True, slots=True, kw_only=True)
class Loop:
    """Runs until asked to stop; `Fatal` is not caught, it ends the process and a human looks."""

    stream: EventStream
    work: Work
    stop: threading.Event
    beat: Callable[[], None]  # called before each step: the loop is alive
    collected: Callable[[Batch], None]  # told of each collection, the empty ones too
    postponed: Callable[[str], None]  # told the kind of each temporary failure
    schedule: Sequence[timedelta] = SCHEDULE

    def run(self) -> None:
        """Settle one batch after another until asked to stop."""
        waiting = pauses(self.schedule)
        while not self.stop.is_set():
            self.beat()
            try:
                if self._settle_one():
                    waiting = pauses(self.schedule)
            except Temporary as error:
                pause = next(waiting)
                kind = type(error).__name__
                self.postponed(kind)
                fields = {
                    "error_type": kind,
                    "detail": str(error),
                    "pause_s": pause.total_seconds(),
                }
                logger.warning("batch_postponed", extra=fields)
                self.stop.wait(pause.total_seconds())

    def _settle_one(self) -> bool:
        batch = self.stream.collect()
        self.collected(batch)
        if batch.is_empty:
            return False
        began = perf_counter()
        self.beat()
        publications = self.work.publications(batch)
        self.beat()
        self.stream.settle(batch, publications)
        self.work.settled(batch, perf_counter() - began)
        return True


def pauses(schedule: Sequence[timedelta]) -> Iterator[timedelta]:
    """Return the pauses of the schedule, the last one without end."""
    return chain(schedule, repeat(schedule[-1]))
