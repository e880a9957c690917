"""Collect, prepare, settle: what both daemons run. Each batch takes effect once.

What was collected is settled in parts of at most `most` records, each in a transaction of its own.
While one is settled on a thread beside, the next is prepared: a small transaction is mostly waiting
for the broker. Nothing is collected before all of them have ended, well or not.
"""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import chain, repeat
from time import perf_counter
from typing import Generic

from consumer.ports import EventStream, PreparedT, Work
from schemas.errors import Temporary
from schemas.records import Batch

logger = logging.getLogger(__name__)

#: The waits after 1, 2, … failures in a row; the last goes on. All stay below the 30 s that
#: `max.poll.interval.ms` leaves room for.
SCHEDULE = tuple(timedelta(seconds=s) for s in (0.1, 0.5, 1, 2, 5, 10))
#: Seconds after a collection in which the settling of another part may begin: nobody hears of a
#: rebalance before the next collection. What is left then comes again.
LONGEST = 5.0


def one_thread() -> Executor:
    """Return a thread beside the loop's own."""
    return ThreadPoolExecutor(1, "settling")


@dataclass(frozen=True, slots=True)
class UnderWay(Generic[PreparedT]):
    """A part that is being settled."""

    prepared: PreparedT
    settling: Future[float]


@dataclass(slots=True, kw_only=True)
class Loop(Generic[PreparedT]):
    """Runs until asked to stop; `Fatal` is not caught, it ends the process and a human looks."""

    stream: EventStream
    work: Work[PreparedT]
    most: int  # records that are settled together
    stop: threading.Event
    beat: Callable[[], None]  # called before each step: the loop is alive
    collected: Callable[[Batch], None]  # told of each collection, the empty ones too
    postponed: Callable[[str], None]  # told the kind of each temporary failure
    schedule: Sequence[timedelta] = SCHEDULE
    longest: float = LONGEST
    beside: Callable[[], Executor] = one_thread  # where a part is settled
    _pauses: Iterator[timedelta] = field(init=False)

    def run(self) -> None:
        """Settle one batch after another until asked to stop."""
        self._pauses = pauses(self.schedule)
        with self.beside() as beside:
            while not self.stop.is_set():
                self.beat()
                try:
                    self._settle_what_waits(beside)
                except Temporary as error:
                    self._postpone(error)

    def _settle_what_waits(self, beside: Executor) -> None:
        batch = self.stream.collect()
        self.collected(batch)
        until = perf_counter() + self.longest
        under_way: UnderWay[PreparedT] | None = None
        for part in batch.parts(self.most):
            began = perf_counter()
            self.beat()
            try:
                prepared = self.work.prepare(part, under_way.prepared if under_way else None)
            finally:
                self._end(under_way)
            if under_way is not None:
                self._pauses = pauses(self.schedule)
                if self.stop.is_set() or perf_counter() > until:
                    return
            under_way = UnderWay(prepared, beside.submit(self._settle, part, prepared, began))
        self._end(under_way)
        if under_way is not None:
            self._pauses = pauses(self.schedule)

    def _settle(self, part: Batch, prepared: PreparedT, began: float) -> float:
        """Settle a part and return how many seconds it took; runs beside."""
        self.beat()
        self.stream.settle(part, prepared.publications)
        return perf_counter() - began

    def _end(self, under_way: UnderWay[PreparedT] | None) -> None:
        """Wait until a part is settled; raise why it is not. What was prepared after it is void."""
        if under_way is not None:
            seconds = under_way.settling.result()
            self.work.settled(under_way.prepared, seconds)

    def _postpone(self, error: Temporary) -> None:
        pause, kind = next(self._pauses), type(error).__name__
        self.postponed(kind)
        fields = {"error_type": kind, "detail": str(error), "pause_s": pause.total_seconds()}
        logger.warning("batch_postponed", extra=fields)
        self.stop.wait(pause.total_seconds())


def pauses(schedule: Sequence[timedelta]) -> Iterator[timedelta]:
    """Return the pauses of the schedule, the last one without end."""
    return chain(schedule, repeat(schedule[-1]))
