"""The senders of a process: many threads with a connection each, fed and noted by one thread each.

Stopped, they finish the mails in hand, give back what was only claimed, and write every result.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from mailer.delivery import Delivery
from mailer.desk import Desk, Noted
from mailer.feeding import Feed
from mailer.ports import Claim
from mailer.results import Fate, Result, State
from mailer.trials import Trials

logger = logging.getLogger(__name__)

_LOOK = 1.0  # seconds without a job after which a sender looks whether it should end

Beat = Callable[[], None]


@dataclass(slots=True, kw_only=True)
class Sending:
    """Puts the parts together. `counted` is told each written result and its seconds.

    The senders are as many as there are deliveries; `bodies` are what the threads run.
    """

    feed: Feed
    desk: Desk
    trials: Trials
    deliveries: Sequence[Delivery]
    counted: Callable[[Result, float], None]
    seconds: Callable[[], float]
    _busy: int = field(init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def __post_init__(self) -> None:
        self._busy = len(self.deliveries) + 1

    def bodies(self, stop: threading.Event, beats: Sequence[Beat]) -> list[Callable[[], None]]:
        """Return what the threads run until `stop`: the feed, the senders, and who writes.

        `beats` are called by the feed and by each sender, in this order, as signs of life.
        """

        def feed() -> None:
            self._and_leave(lambda: self.feed.run(stop, beats[0]))

        def sender(delivery: Delivery, beat: Beat) -> Callable[[], None]:
            return lambda: self._and_leave(lambda: self._send(delivery, beat))

        senders = zip(self.deliveries, beats[1:], strict=True)
        return [feed, *(sender(delivery, beat) for delivery, beat in senders), self.desk.run]

    def _and_leave(self, body: Callable[[], None]) -> None:
        """Run a body; the last one to leave closes the desk behind it."""
        try:
            body()
        finally:
            with self._lock:
                self._busy -= 1
                if self._busy == 0:
                    self.desk.close()

    def _send(self, delivery: Delivery, beat: Beat) -> None:
        try:
            while not self.feed.is_over:
                beat()
                job = self.feed.take(_LOOK)
                if job is None:
                    delivery.close_if_idle()
                    continue
                started = self.seconds()
                result = delivery.deliver(*job)
                self.desk.note(job.claim, result, self.seconds() - started)
        finally:
            delivery.close()

    def written(self, noted: Noted) -> None:
        """Take in what the desk has written: for the feed, the trials, the figures and the log."""
        tried = list[tuple[Claim, Fate, str]]()
        for claim, result, seconds in noted:
            domain = self.feed.written(claim, result)
            if domain is not None:
                tried.append((claim, result.fate, domain))
            self.counted(result, seconds)
            log(claim, result)
        if tried:
            self.trials.told(tried)


def log(claim: Claim, result: Result) -> None:
    """Say what came of a mail; nothing of it is personal."""
    if result.fate in (Fate.POSTPONED, Fate.RATE_LIMITED):
        return  # nothing was sent, by our own choice
    fields = {
        "tenant_id": claim.tenant_id,
        "mail_id": claim.mail_id,
        "rule_id": claim.rule_id,
        "event_id": claim.event_id,
        "fate": result.fate,
        "attempts": claim.attempts + result.fate.is_attempt,
        "reply_code": result.code,
        "reply_detail": result.detail,
        "reply_text": result.text,
        "phase": result.reply.phase if result.reply else None,
    }
    may_have_arrived = claim.in_doubt_count > 0 or result.adds_doubt
    match result.fate.state:
        case State.SENT:
            logger.info("mail_sent", extra=fields)
        case State.FAILED:
            logger.error("mail_refused", extra=fields | {"may_have_arrived": may_have_arrived})
        case State.SUPPRESSED:
            logger.info("mail_suppressed", extra=fields)
        case _:
            pause = result.pause.total_seconds() if result.pause else 0.0
            _log_waiting(result, fields | {"pause": pause})


def _log_waiting(result: Result, fields: dict[str, object]) -> None:
    if result.fate is Fate.RELAY_TROUBLE:
        logger.warning("relay_trouble", extra=fields)
    else:
        logger.warning("mail_deferred", extra=fields)
