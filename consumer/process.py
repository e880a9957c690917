"""A process's life: signals, a budget for stopping, the exit code.

The work runs on a thread of its own and the main thread only waits, because a signal is not heard
while the main thread is inside a call of the Kafka client that ignores its timeout (kafka.md,
section 6: `send_offsets_to_transaction`).
"""

import gc
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from types import FrameType
from typing import NoReturn

logger = logging.getLogger(__name__)

#: Seconds from the first signal until the process leaves whatever happens; what is not settled
#: then comes again after the next start.
STOP_BUDGET = 13.0


#: New objects after which Python looks for circles among them, and how many such looks before it
#: looks further. A batch makes thousands of objects that end with it; the defaults (700, 10, 10)
#: look again and again for nothing (measured with `make bench-delivery`: a tenth of its time).
COLLECTING = (20_000, 20, 20)
#: Seconds after which one thread makes room for another. The default, 5 ms, is how long a sender
#: that hears from its mail server may wait for one that is decoding.
TAKING_TURNS = 0.001

TOO_LONG = 70  #: exit code of a process whose step took too long


@dataclass(slots=True)
class Watchdog:
    """Watches that no step takes longer than `limit` seconds; asleep until the first begins."""

    limit: float
    seconds: Callable[[], float] = monotonic
    _since: float | None = None

    def tick(self) -> None:
        """Note that the next step begins; cheap enough for every one."""
        self._since = self.seconds()

    def overdue(self) -> float | None:
        """Return how many seconds the present step takes if those are too many."""
        taken = 0.0 if self._since is None else self.seconds() - self._since
        return taken if taken > self.limit else None


def run_until_stopped(
    body: Callable[[threading.Event], None], watchdog: Watchdog | None = None
) -> None:
    """Run `body(stop)` until it returns or SIGTERM or SIGINT asked it to; raise what it raised.

    Must be called on the main thread. A second signal, or the end of the budget, leaves at once
    with exit code 0: the work is cut off where it is, which loses nothing. A step that the watchdog
    finds too long ends the process with exit code 70, for the supervisor to start a new one.
    """
    stop, failures = threading.Event(), list[BaseException]()

    def guarded() -> None:
        try:
            body(stop)
        except BaseException as error:  # noqa: BLE001  handed to the main thread, whatever it is
            failures.append(error)

    def ask_to_stop(number: int, _: FrameType | None) -> None:
        if stop.is_set():
            leave("second_signal")
        logger.info("stopping", extra={"signal": signal.Signals(number).name})
        stop.set()

    previous = {s: signal.signal(s, ask_to_stop) for s in (signal.SIGTERM, signal.SIGINT)}
    worker = threading.Thread(target=guarded, name="work", daemon=True)
    try:
        worker.start()
        while worker.is_alive() and not stop.is_set():
            worker.join(0.2)  # short, so that a signal is heard at once
            if watchdog is not None and (taken := watchdog.overdue()) is not None:
                leave("step_too_long", exit_code=TOO_LONG, seconds=round(taken, 1))
        worker.join(STOP_BUDGET)
        if worker.is_alive():
            leave("stop_budget_spent")
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    if failures:
        raise failures[0]


def settle_down() -> None:
    """Tune the interpreter for a long life; called once all is loaded and wired.

    What is there by now stays, and is left out of each look for circles.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECTING)
    sys.setswitchinterval(TAKING_TURNS)


def together(stop: threading.Event, *bodies: Callable[[], None]) -> None:
    """Run all on threads of their own until they return; one that fails stops the others.

    The bodies must watch `stop`. Raise what the first to fail raised, once all have returned.
    """
    failures = list[BaseException]()

    def guarded(body: Callable[[], None]) -> None:
        try:
            body()
        except BaseException as error:  # noqa: BLE001  raised again below, whatever it is
            failures.append(error)
        finally:
            stop.set()

    threads = [threading.Thread(target=guarded, args=(body,), daemon=True) for body in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def leave(why: str, *, exit_code: int = 0, **fields: float) -> NoReturn:
    """End the process at once, in whatever its threads are."""
    logger.warning("left_at_once", extra={"why": why, **fields})
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(exit_code)
