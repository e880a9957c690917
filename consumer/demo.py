"""The first minute: everything at work on this machine, fed with made-up events.

The worker, the delivery daemon, the rules database and the mails are the real ones. Only what
would have to be installed is stood in for: Kafka by a mock broker, the mail server by an inbox.
"""

import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from time import monotonic
from types import FrameType
from typing import TextIO

from consumer.demo_events import Scene, encore, scenes
from consumer.demo_screen import Screen
from consumer.demo_stage import Stage
from consumer.demo_telling import Told
from schemas.vocabulary import MailId

PAUSE = timedelta(seconds=0.7)  #: between two events, for people who read along
ENCORE = timedelta(seconds=20)  #: between two further events, once the stream is through
PATIENCE = timedelta(seconds=45)  #: how long the mails of `--once` may take
LOOK = 0.02  # seconds between two looks into the inbox

Heard = Counter[tuple[str, str]]  # event id, address → how often


def run_demo(*, once: bool, http_port: int, out: TextIO, speed: float = 1.0) -> int:
    """Run the demo and return its exit code; with `once` 1 unless exactly the right mails came.

    Ends by itself with `once`, else by SIGINT or SIGTERM, and leaves nothing behind. A port that
    is taken is replaced by a free one. `speed` shortens the pauses between events.
    """
    stop = threading.Event()
    screen = Screen(out)
    with _stopped_by_signals(stop), Stage.set_up(http_port) as stage:
        play = _Play(stage, screen, stop)
        play.begin(http_port)
        play.stream(timedelta(0) if once else PAUSE / speed)
        if once:
            play.await_mails()
            return play.conclude()
        play.finish_slowly()
        play.go_on(ENCORE / speed)
    screen.line()
    screen.line("The demo has ended; nothing is left behind.")
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


class _Play:
    """The stream as it runs: what was published, and what of the inbox has been told."""

    def __init__(self, stage: Stage, screen: Screen, stop: threading.Event) -> None:
        self._stage = stage
        self._screen = screen
        self._stop = stop
        self._began = monotonic()
        self._scenes: list[Scene] = []
        self._planned: set[MailId] = set()
        self._dead_letters = 0
        self._told_mails = 0
        self._told_refusals = 0

    def begin(self, wanted_port: int) -> None:
        """Say what runs and where the inbox is."""
        stage, screen = self._stage, self._screen
        screen.heading("push-services demo: events in, mails out")
        screen.fact("Inbox", stage.inbox.url + _instead_of(wanted_port, stage.inbox.http_port))
        screen.fact("Rules", f"{stage.rules_told}, in {stage.database_url}")
        screen.fact("Broker", "librdkafka's mock, for this demo only: no promise holds on it")
        screen.line()

    def stream(self, pause: timedelta) -> None:
        """Publish every scene, and tell what is decided and what arrives."""
        for scene in scenes(datetime.now(UTC)):
            if self._stop.is_set():
                return
            self._publish(scene)
            self._watch(pause)

    def _publish(self, scene: Scene) -> None:
        told = self._stage.publish(scene, self._planned)
        self._scenes.append(scene)
        self._planned.update(mail.mail_id for mail, _ in told.share.mails)
        self._dead_letters += len(told.share.dead_letters)
        self._tell(scene, told)

    def _tell(self, scene: Scene, told: Told) -> None:
        self._screen.decided(self._elapsed(), scene.name, scene.tenant_id, told)

    def _watch(self, pause: timedelta) -> None:
        """Tell what arrives until the pause is over or the demo is asked to stop."""
        end = monotonic() + pause.total_seconds()
        while True:
            self._tell_arrivals()
            self._stage.raise_failure()
            left = end - monotonic()
            if left <= 0 or self._stop.wait(min(LOOK, left)):
                return

    def _tell_arrivals(self) -> None:
        inbox, screen = self._stage.inbox, self._screen
        for mail in inbox.mails()[self._told_mails :]:
            screen.arrived(self._elapsed(), mail.recipient, mail.content.header("Subject"))
            self._told_mails += 1
        for refusal in inbox.refusals()[self._told_refusals :]:
            screen.refused(self._elapsed(), refusal.recipient, refusal.reply)
            self._told_refusals += 1

    def _elapsed(self) -> timedelta:
        return timedelta(seconds=monotonic() - self._began)
