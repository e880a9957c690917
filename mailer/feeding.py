"""Claims due mails ahead of the senders and hands them out: what may go, and what may go now.

One thread claims, many at once; the senders take one after the other. A mail that need not be
tried, or whose recipient's domain has had enough for now, goes back to the ledger from here.
"""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from queue import Empty, SimpleQueue
from typing import NamedTuple

from mailer.deciding import WAITS, asks_to_slow_down, before
from mailer.desk import TROUBLE_PAUSES
from mailer.limits import Lane
from mailer.ports import Claim, Ledger, MailKey
from mailer.results import Fate, Result
from schemas.errors import LedgerUnavailable, Permanent, Temporary
from schemas.mails import OutgoingMail

logger = logging.getLogger(__name__)

_MOST_LANES = 10_000  # domains that are remembered before the idle ones are forgotten
_LOOK = 0.5  # seconds without a sign of life while waiting
ANY = -1  #: what `room` returns where any number of mails may be tried


class Job(NamedTuple):
    """A claimed mail for a sender."""

    claim: Claim
    mail: OutgoingMail


class _Open(NamedTuple):
    """A claim whose result is not written yet, and whose lane it is in."""

    claim: Claim
    domain: str | None


@dataclass(slots=True, kw_only=True)
class Feed:
    """Hands out jobs. `note` takes a result to the ledger; `room` says how many may be tried now.

    `seconds` is a clock that only goes forward.
    """

    ledger: Ledger
    owner: str
    read_mail: Callable[[bytes], OutgoingMail]
    note: Callable[[Claim, Result], None]
    room: Callable[[], int]
    seconds: Callable[[], float]
    ahead: int  #: mails that are claimed ahead of the senders
    domain_rate: float | None = 10.0  #: mails a second to one recipient domain
    domain_most: int = 20  #: mails at once to one recipient domain
    waits: timedelta = WAITS
    idle: timedelta = timedelta(seconds=0.5)  #: between two looks into a ledger with nothing due
    trouble_pauses: Sequence[timedelta] = TROUBLE_PAUSES
    _jobs: SimpleQueue[Job] = field(default_factory=SimpleQueue, init=False)
    _wake: threading.Event = field(default_factory=threading.Event, init=False)
    _open: dict[MailKey, _Open] = field(default_factory=dict, init=False)
    _lanes: dict[str, Lane] = field(default_factory=dict, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)
    _pauses: Iterator[timedelta] | None = field(default=None, init=False)
    _must_take_over: bool = field(default=True, init=False)
    _is_over: bool = field(default=False, init=False)

    # For senders

    def take(self, seconds: float) -> Job | None:
        """Return the next job, or None where none comes within so many seconds."""
        try:
            job = self._jobs.get(block=seconds > 0, timeout=seconds or None)
        except Empty:
            return None
        if self._jobs.qsize() <= self.ahead // 2:
            self._wake.set()
        if self.room() == 0:  # trouble since it was claimed
            self.note(job.claim, Result(Fate.POSTPONED, why="the mail server is left alone"))
            return None
        return job

    @property
    def is_over(self) -> bool:
        """Say whether no more jobs will come."""
        return self._is_over and self._jobs.empty()

    def wake(self) -> None:
        """Look into the ledger at once: there is something new in it."""
        self._wake.set()

    def written(self, claim: Claim, result: Result) -> str | None:
        """Take note that a result was written; return the recipient's domain if it was tried."""
        with self._lock:
            known = self._open.get(claim.key)
            if known is None or known.claim.number != claim.number:
                return None
            del self._open[claim.key]
            lane = self._lanes.get(known.domain or "")
            if lane is not None and known.domain is not None:
                self._lanes[known.domain] = _lane_after(lane, result)
            return known.domain

    # The thread

    def run(self, stop: threading.Event, beat: Callable[[], None]) -> None:
        """Claim until stopped; what was claimed and not taken is then given back."""
        try:
            while not stop.is_set():
                self._rest(stop, self.step(), beat)
        finally:
            self._is_over = True
            self.give_back()

    def _rest(self, stop: threading.Event, seconds: float, beat: Callable[[], None]) -> None:
        """Wait so long, or until there is something new; in trouble only time helps."""
        beat()
        while seconds > 0 and not stop.is_set():
            part = min(seconds, _LOOK)
            in_trouble = self._pauses is not None
            if stop.wait(part) if in_trouble else self._wake.wait(part):
                break
            seconds -= part
            beat()
        self._wake.clear()

    def step(self) -> float:
        """Claim what there is room for and return how many seconds to wait before the next time."""
        idle = self.idle.total_seconds()
        wanted = self._wanted()
        if wanted == 0:
            return idle
        try:
            self._take_over()
            claims = self.ledger.claim(self.owner, wanted)
        except LedgerUnavailable:
            self._must_take_over = True  # a claim may have been granted without our hearing of it
            return self._trouble()
        self._pauses = None
        postponed = [self._admit(claim) for claim in claims]
        if any(postponed):
            return self._trouble()
        return 0.0 if len(claims) == wanted else idle

    def _wanted(self) -> int:
        room = self.room()
        if room == 0:
            self.give_back()
            return 0
        if room != ANY:
            return 0 if self._open else room
        free = self.ahead - self._jobs.qsize()
        return free if free > self.ahead // 2 else 0

    def _take_over(self) -> None:
        """End the claims of this slot that nobody works on: those of the process before it, and
        those that were granted while the ledger's answer got lost.
        """
        if not self._must_take_over:
            return
        with self._lock:
            known = [one.claim for one in self._open.values()]
        claims = self.ledger.take_over(self.owner, known)
        self._must_take_over = False
        if claims:
            logger.warning("claims_taken_over", extra={"claims": claims})

    def _trouble(self) -> float:
        if self._pauses is None:
            self._pauses = iter(self.trouble_pauses)
        return next(self._pauses, self.trouble_pauses[-1]).total_seconds()

    def _admit(self, claim: Claim) -> bool:
        """Make a job of a claim, or note why not; True: our own side has no answer just now."""
        result, mail = before(claim, self.waits), None
        if result is None:
            result, mail = self._read(claim)
        if mail is not None:
            pause = self._enter(mail.recipient.domain)
            if pause > 0:
                result = Result(Fate.RATE_LIMITED, pause=timedelta(seconds=pause))
        with self._lock:
            tried = mail.recipient.domain if mail is not None and result is None else None
            self._open[claim.key] = _Open(claim, tried)
        if result is not None:
            self.note(claim, result)
        elif mail is not None:
            self._jobs.put(Job(claim, mail))
        return result is not None and result.fate is Fate.POSTPONED

    def _read(self, claim: Claim) -> tuple[Result | None, OutgoingMail | None]:
        try:
            return None, self.read_mail(claim.value)
        except Temporary as error:
            return Result(Fate.POSTPONED, why=type(error).__name__), None
        except (Permanent, ValueError) as error:
            return Result(Fate.UNREADABLE, why=f"no mail in it: {type(error).__name__}"), None

    def _enter(self, domain: str) -> float:
        with self._lock:
            lane = self._lanes.get(domain) or Lane.of(self.domain_rate, self.domain_most)
            now = self.seconds()
            self._lanes[domain], pause = lane.entered(now)
            if len(self._lanes) > _MOST_LANES:
                self._lanes = {d: one for d, one in self._lanes.items() if not one.is_idle(now)}
            return pause

    def give_back(self) -> None:
        """Give back what was claimed and not taken."""
        while True:
            try:
                job = self._jobs.get_nowait()
            except Empty:
                return
            self.note(job.claim, Result(Fate.POSTPONED, why="given back"))


def _lane_after(lane: Lane, result: Result) -> Lane:
    if result.fate is Fate.SENT:
        return lane.after_success()
    return lane.after_complaint() if asks_to_slow_down(result.reply) else lane.left()
