"""Takes partitions over beside the loop, so that the other partitions go on meanwhile."""

import logging
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from queue import Empty, SimpleQueue
from typing import NamedTuple, TypeAlias

from consumer.restoring import TakenOver
from schemas.errors import Temporary
from schemas.records import Place

logger = logging.getLogger(__name__)

TakeOver: TypeAlias = Callable[[Collection[Place]], Iterator[tuple[Place, TakenOver]]]

PAUSE = 0.5  # seconds before the brokers are asked again
LAST_ANSWER = 1.0  # seconds that an answer is waited for when all is to end


class Ended(NamedTuple):
    """A take-over that has ended, with the number it was begun with."""

    place: Place
    number: int
    found: TakenOver


class Restorer:
    """One thread that takes over what it is given, again and again until it succeeds."""

    def __init__(self, take_over: TakeOver, close: Callable[[], None] = lambda: None) -> None:
        """Start no thread before there is something to do; `close` lets go of what it asks with."""
        self._take_over = take_over
        self._close = close
        self._begun: SimpleQueue[Mapping[Place, int] | None] = SimpleQueue()
        self._ended: SimpleQueue[Ended | Exception] = SimpleQueue()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self, numbers: Mapping[Place, int]) -> None:
        """Take these over; called by the loop's thread alone."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="take-over", daemon=True)
            self._thread.start()
        self._begun.put(dict(numbers))

    def ended(self) -> Iterator[Ended]:
        """Yield the take-overs that have ended since; raise what stopped one for good."""
        while True:
            try:
                ended = self._ended.get_nowait()
            except Empty:
                return
            if isinstance(ended, Exception):
                raise ended
            yield ended

    def close(self) -> None:
        """Begin nothing more; what is under way is waited for a moment, then left to itself."""
        self._stop.set()
        self._begun.put(None)
        if self._thread is not None:
            self._thread.join(LAST_ANSWER)
            if self._thread.is_alive():
                return
        self._close()

    def _run(self) -> None:
        while (numbers := self._begun.get()) is not None:
            left = dict(numbers)
            while left and not self._stop.is_set():
                self._try_all(left)

    def _try_all(self, left: dict[Place, int]) -> None:
        """Try once: all together, and then one by one, so that one that must wait holds up none."""
        failure = self._try(tuple(left), left)
        for place in tuple(left) if failure is not None and len(left) > 1 else ():
            failure = self._try((place,), left) or failure
        if left and failure is not None:
            fields = {"partitions": [f"{p.topic}/{p.partition}" for p in left]}
            logger.warning("take_over_postponed", extra={**fields, "detail": str(failure)})
            self._stop.wait(PAUSE)

    def _try(self, places: Collection[Place], left: dict[Place, int]) -> Temporary | None:
        """Take these over, striking them off; return why the rest must be tried again."""
        if self._stop.is_set():
            return None
        try:
            for place, found in self._take_over(places):
                self._ended.put(Ended(place, left.pop(place), found))
        except Temporary as error:
            return error
        except Exception as error:  # noqa: BLE001  raised again on the loop's thread
            left.clear()
            self._ended.put(error)
        return None
