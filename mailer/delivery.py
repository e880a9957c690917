"""Takes due mails out of the ledger to the relay: claim, hand over, note.

SMTP knows no transaction, so the ledger remembers. A result that the ledger did not take is kept
and noted first of all, before anything else is sent.
"""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from mailer.mime import mime_bytes
from mailer.ports import Claim, Ledger, Relay
from mailer.results import PAUSES, Fate, Result, State, after
from schemas.errors import LedgerUnavailable, Permanent, Temporary
from schemas.mails import OutgoingMail

logger = logging.getLogger(__name__)

#: The waits while nobody can be delivered to: relay, ledger or registry in trouble.
TROUBLE_PAUSES = tuple(timedelta(seconds=seconds) for seconds in (1, 2, 5, 10, 15, 30))

_LONGEST_WAIT = 5.0  # seconds without a sign of life while waiting


@dataclass(slots=True, kw_only=True)
class Delivery:
    """Hands mails to the relay, each at least once and always as the same bytes.

    Claimed before, noted after: a crash in between leaves a mail in doubt, and it goes out again.
    One per thread: it keeps the result that the ledger still has to be told.
    """

    ledger: Ledger
    relay: Relay
    owner: str  #: the slot of this sender; a process that starts again has the same
    read_mail: Callable[[bytes], OutgoingMail]
    build: Callable[[OutgoingMail], bytes] = mime_bytes
    schedule: Sequence[timedelta] = PAUSES
    _owed: tuple[Claim, Result] | None = field(default=None, init=False)

    def step(self) -> Result | None:
        """Take the mail that is due longest one step further, or return None: nothing is due.

        Raise `LedgerUnavailable` when the ledger gave no answer. Calling again is then right: a
        result it was not told is told it first, and nothing is sent meanwhile.
        """
        if self._owed is not None:
            return self._settle(*self._owed)
        claim = self.ledger.claim(self.owner)
        if claim is None:
            return None
        self._owed = (claim, self._attempt(claim))
        return self._settle(*self._owed)

    @property
    def owes(self) -> bool:
        """Say whether the ledger still has to be told a result."""
        return self._owed is not None

    def settle_owed(self) -> None:
        """Tell the ledger the result it was not told, if there is one; never send anything."""
        if self._owed is not None:
            self._settle(*self._owed)

    def _settle(self, claim: Claim, result: Result) -> Result:
        kept = result.fate is not Fate.CLAIM_LOST and self.ledger.note(claim, result)
        self._owed = None
        settled = result if kept else Result(Fate.CLAIM_LOST, result.reply, why=result.why)
        _log(claim, settled)
        return settled

    def _attempt(self, claim: Claim) -> Result:
        try:
            mail = self.read_mail(claim.value)
            content = self.build(mail)
        except (Permanent, ValueError) as error:
            return Result(Fate.UNREADABLE, why=f"no mail in it: {type(error).__name__}")
        except Temporary as error:
            return Result(Fate.POSTPONED, why=type(error).__name__)
        return self._hand_over(claim, mail, content)

    def _hand_over(self, claim: Claim, mail: OutgoingMail, content: bytes) -> Result:
        try:
            reply = self.relay.hand_over(
                mail.from_address,
                mail.recipient,
                content,
                starting=lambda: self.ledger.note_start(claim),  # durable before the first byte
            )
        except Temporary as error:  # from note_start: nothing was sent
            return Result(Fate.POSTPONED, why=type(error).__name__)
        if reply is None:
            return Result(Fate.CLAIM_LOST)
        return after(reply, claim.attempts, self.schedule)


def _log(claim: Claim, result: Result) -> None:
    fields = {
        "tenant_id": claim.tenant_id,
        "mail_id": claim.mail_id,
        "rule_id": claim.rule_id,
        "event_id": claim.event_id,
        "fate": result.fate,
        "attempts": claim.attempts + result.fate.is_attempt,
        "reply_code": result.code,
        "reply_detail": result.reply.detail if result.reply else None,
        "reply_text": result.text,
        "phase": result.reply.phase if result.reply else None,
    }
    if result.fate.state is State.SENT:
        logger.info("mail_sent", extra=fields)
    elif result.fate.state is State.FAILED:
        may_have_arrived = claim.in_doubt_count > 0 or result.adds_doubt
        logger.error("mail_refused", extra=fields | {"may_have_arrived": may_have_arrived})
    elif result.fate is Fate.RELAY_TROUBLE:
        logger.warning("relay_trouble", extra=fields)
    else:
        logger.warning("mail_deferred", extra=fields | {"pause": result.pause.total_seconds()})


@dataclass(slots=True, kw_only=True)
class Sender:
    """Steps until stopped; what a thread of the delivery daemon runs.

    `counted` is told each result and how many seconds it took. `seconds` is a clock that only
    goes forward. While the relay, the ledger or the registry is in trouble nothing is claimed.
    """

    delivery: Delivery
    counted: Callable[[Result, float], None]
    seconds: Callable[[], float]
    trouble_pauses: Sequence[timedelta] = TROUBLE_PAUSES
    _waiting: Iterator[timedelta] | None = field(default=None, init=False)
    _ledger_is_away: bool = field(default=False, init=False)
    _has_taken_over: bool = field(default=False, init=False)

    def run(self, stop: threading.Event, *, idle: timedelta, beat: Callable[[], None]) -> None:
        """Take over what this slot's last process left, then deliver what is due until stopped.

        Wait `idle` when nothing is due. Call `beat` at every step and at least every 5 s while
        waiting; a mail in hand may take as long as the relay's timeouts. On stop the mail in hand
        is finished and the connection closed.
        """
        try:
            while not stop.is_set():
                beat()
                self._wait(stop, self.step(idle), beat)
            self._settle_owed()
        finally:
            self.delivery.relay.close()

    def step(self, idle: timedelta) -> timedelta:
        """Do one step and return how long to wait before the next."""
        started = self.seconds()
        try:
            self._take_over_once()
            result = self.delivery.step()
        except LedgerUnavailable as error:
            return self._without_ledger(error)
        self._ledger_answered()
        if result is None:
            return idle
        self.counted(result, self.seconds() - started)
        if result.fate in (Fate.RELAY_TROUBLE, Fate.POSTPONED):
            return self._next_trouble_pause()
        self._waiting = None
        return timedelta(0)

    def _take_over_once(self) -> None:
        """End the claims of this slot that nobody works on: at the start, and after the ledger
        was away, when a claim may have been granted without our hearing of it.
        """
        if self._has_taken_over or self.delivery.owes:
            return
        claims = self.delivery.ledger.take_over(self.delivery.owner)
        self._has_taken_over = True
        if claims:
            logger.warning("claims_taken_over", extra={"claims": claims})

    def _without_ledger(self, error: LedgerUnavailable) -> timedelta:
        if not self._ledger_is_away:  # said once, not at every try
            logger.warning("ledger_unavailable", extra={"error": str(error)})
        self._ledger_is_away = True
        self._has_taken_over = False
        return self._next_trouble_pause()

    def _ledger_answered(self) -> None:
        if self._ledger_is_away:
            logger.info("ledger_available")
            self._waiting = None
        self._ledger_is_away = False

    def _next_trouble_pause(self) -> timedelta:
        if self._waiting is None:
            self._waiting = iter(self.trouble_pauses)
        return next(self._waiting, self.trouble_pauses[-1])

    def _wait(self, stop: threading.Event, pause: timedelta, beat: Callable[[], None]) -> None:
        left = pause.total_seconds()
        while left > 0 and not stop.wait(min(left, _LONGEST_WAIT)):
            left -= _LONGEST_WAIT
            beat()

    def _settle_owed(self) -> None:
        try:
            self.delivery.settle_owed()
        except LedgerUnavailable as error:  # the mail is in doubt then, and comes again
            logger.error("result_not_noted", extra={"error": str(error)})
