"""The first minute: everything at work on this machine, fed with made-up events.

The worker, the delivery daemon, the rules database and the mails are the real ones. Only what
would have to be installed is stood in for: Kafka by a mock broker, the mail server by an inbox.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import FrameType
from typing import TextIO

from consumer.demo.play import Play
from consumer.demo.screen import Screen
from consumer.demo.stage import set_up

PAUSE = timedelta(seconds=0.8)  #: between two events, for people who read along
ENCORE = timedelta(seconds=15)  #: between two further events, once the stream is through
PATIENCE = timedelta(seconds=45)  #: how long the last mails may take


def run_demo(*, once: bool, http_port: int, out: TextIO, speed: float = 1.0) -> int:
    """Run the demo and return its exit code; with `once` 1 unless exactly the right mails came.

    Ends by itself with `once`, else by SIGINT or SIGTERM, and leaves nothing behind. A port that
    is taken is replaced by a free one. `speed` divides the pauses, which `once` does without.
    """
    stop = threading.Event()
    screen = Screen(out)
    with _stopped_by_signals(stop):
        with set_up(http_port) as stage:
            play = Play(stage, screen, stop)
            play.begin(http_port)
            play.stream(timedelta(0) if once else PAUSE / speed)
            play.await_mails(PATIENCE)
            if once:
                return play.conclude()
            play.sum_up()
            play.go_on(ENCORE / speed)
        screen.line()
        screen.line("The demo has ended. Its database and its mails are gone, its ports are free.")
    return 0


@contextmanager
def _stopped_by_signals(stop: threading.Event) -> Iterator[None]:
    """Let SIGINT and SIGTERM set `stop`; outside the main thread nobody can listen."""

    def ask_to_stop(_: int, __: FrameType | None) -> None:
        stop.set()

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = {s: signal.signal(s, ask_to_stop) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
