"""Where a mail stands, what came of an attempt, and `after`: what a reply means for the mail.

Each reply of RFC 5321 has one row in a table, and how often to try is data: `PAUSES`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from mailer.replies import Phase, Reply

#: The waits before the second and each later attempt; the last one repeats until the mail expires.
PAUSES = (
    timedelta(seconds=10),
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=15),
    timedelta(minutes=30),
    timedelta(hours=1),
    timedelta(hours=2),
    timedelta(hours=4),
)
JITTER = 0.2  #: the share by which a wait is shorter or longer, so that mails do not come in waves


class State(StrEnum):
    """Where a mail stands in the ledger."""

    WAITING = "waiting"  #: durable, due at `next_attempt_at`
    CLAIMED = "claimed"  #: one sender owns it until its lease ends
    SENT = "sent"  #: the mail server took it
    FAILED = "failed"  #: refused for good, expired, or unreadable
    SUPPRESSED = "suppressed"  #: its recipient is on the suppression list; nothing was sent
    HELD = "held"  #: an operator must look: `push-services deliveries retry`

    @property
    def is_final(self) -> bool:
        """Say whether nothing more happens to the mail."""
        return self in (State.SENT, State.FAILED, State.SUPPRESSED)


class InDoubt(StrEnum):
    """What becomes of a mail whose content went out and was not answered."""

    RESEND = "resend"  #: the same bytes again: at least once
    HOLD = "hold"  #: an operator decides: at most once without them


class Fate(StrEnum):
    """What came of an attempt: the word in the ledger, in logs and in metrics."""

    SENT = "sent"  #: accepted
    DEFERRED = "deferred"  #: refused for now, or no answer before the content
    IN_DOUBT = "in_doubt"  #: the content went out and no answer came: it may have arrived
    DEAD_ADDRESS = "dead_address"  #: nobody is there, and nobody will be
    POLICY_REFUSED = "policy_refused"  #: our reputation or rights, not the recipient
    CONTENT_REFUSED = "content_refused"  #: what we wrote: our own fault
    TOO_LARGE = "too_large"  #: more bytes than the mail server takes
    REFUSED = "refused"  #: for good, for another reason
    BOUNCED = "bounced"  #: accepted, and given back later: nobody is at the address
    EXPIRED = "expired"  #: nobody took it while it was worth reading
    SUPPRESSED = "suppressed"  #: the recipient is on the suppression list
    UNREADABLE = "unreadable"  #: no mail can be made of the record's bytes
    RELAY_TROUBLE = "relay_trouble"  #: the connection or our set-up; says nothing about this mail
    POSTPONED = "postponed"  #: an answer of our own side is missing, or we stop; nothing was sent
    RATE_LIMITED = "rate_limited"  #: its recipient's domain gets no more for now; nothing was sent
    CLAIM_LOST = "claim_lost"  #: somebody else has taken the mail over; what they note counts

    @property
    def state(self) -> State:
        """Return where the mail stands afterwards."""
        match self:
            case Fate.SENT:
                return State.SENT
            case Fate.SUPPRESSED:
                return State.SUPPRESSED
            case Fate.CLAIM_LOST:
                return State.CLAIMED
        return State.WAITING if self in _AGAIN else State.FAILED

    @property
    def is_attempt(self) -> bool:
        """Say whether the mail itself was tried; otherwise the schedule does not move on."""
        return self not in _NOT_TRIED

    @property
    def is_refusal(self) -> bool:
        """Say whether the mail server refused the mail for good."""
        return self in _REFUSALS

    @property
    def owes_report(self) -> bool:
        """Say whether somebody has to be told that the mail will not come."""
        return self.state in (State.FAILED, State.SUPPRESSED)


_AGAIN = frozenset(
    {Fate.DEFERRED, Fate.IN_DOUBT, Fate.RELAY_TROUBLE, Fate.POSTPONED, Fate.RATE_LIMITED}
)
_NOT_TRIED = frozenset(
    {
        Fate.RELAY_TROUBLE,
        Fate.POSTPONED,
        Fate.RATE_LIMITED,
        Fate.CLAIM_LOST,
        Fate.SUPPRESSED,
        Fate.EXPIRED,
    }
)
_REFUSALS = frozenset(
    {
        Fate.DEAD_ADDRESS,
        Fate.POLICY_REFUSED,
        Fate.CONTENT_REFUSED,
        Fate.TOO_LARGE,
        Fate.REFUSED,
    }
)


@dataclass(frozen=True, slots=True)
class Result:
    """What came of an attempt.

    `pause` is the wait before the next one; where there is none, the mail keeps its place.
    """

    fate: Fate
    reply: Reply | None = None
    pause: timedelta | None = None
    why: str = ""  #: where there was no reply

    @property
    def adds_doubt(self) -> bool:
        """Say whether this attempt may have been one more copy."""
        return self.fate is Fate.IN_DOUBT

    @property
    def was_answered(self) -> bool:
        """Say whether the mail server had something to say about this mail, and not about itself.

        Only then may a mail expire: over a weekend without a relay none is thrown away.
        """
        if self.reply is None or not self.fate.is_attempt:
            return False
        return self.fate is Fate.IN_DOUBT or not is_of_the_server(self.reply)

    @property
    def detail(self) -> str | None:
        """Return the reply's enhanced code, if it has one."""
        return self.reply.detail if self.reply else None

    @property
    def code(self) -> int | None:
        """Return the reply's code, if a reply came."""
        return self.reply.code if self.reply else None

    @property
    def text(self) -> str:
        """Return the reply's text, or what stands for it."""
        return self.reply.text if self.reply else self.why


def after(
    reply: Reply, attempt: int, schedule: Sequence[timedelta] = PAUSES, chance: float = 0.5
) -> Result:
    """Say what becomes of a mail after a reply; `attempt` is how often it was tried before.

    `chance`, from 0 to 1, makes the wait up to a fifth shorter or longer. The last wait repeats:
    a mail ends by expiring, which `mailer.deciding.before` sees.
    """
    fate = meaning(reply)
    if fate not in (Fate.DEFERRED, Fate.IN_DOUBT):
        return Result(fate, reply)
    pause = schedule[min(attempt, len(schedule) - 1)]
    return Result(fate, reply, pause * (1 - JITTER + 2 * JITTER * chance))


def meaning(reply: Reply) -> Fate:
    """Say what a reply means by itself (codes: RFC 5321 4.2; details: RFC 3463, RFC 5248).

    A detail wins over the three digits; a 5xx without one says nothing about the address.
    """
    if not reply.phase.within_transaction or is_of_our_set_up(reply):
        return Fate.RELAY_TROUBLE
    match reply:
        case Reply(phase=Phase.CONTENT, code=code) if code is None or 300 <= code < 400:
            return Fate.IN_DOUBT
        case Reply(phase=Phase.CONTENT, code=code) if code is not None and code < 300:
            return Fate.SENT
        case Reply(code=code) if code is None or code < 400:  # not what the protocol allows here
            return Fate.DEFERRED
    return _meaning_of_refusal(reply)


def _meaning_of_refusal(reply: Reply) -> Fate:
    match reply:
        case Reply(detail="5.2.2") | Reply(code=421):  # a full mailbox may be emptied
            return Fate.DEFERRED
        case Reply(code=552, detail=None):
            return Fate.TOO_LARGE if _complains_of_size(reply.text) else Fate.DEFERRED
        case Reply(detail="5.3.4" | "5.2.3"):
            return Fate.TOO_LARGE
        case Reply(phase=phase, detail=detail) if detail in _DEAD and phase is not Phase.MAIL:
            return Fate.DEAD_ADDRESS
        case Reply(detail=str(detail)) if detail.startswith("5.7."):
            return Fate.POLICY_REFUSED
        case Reply(detail=str(detail)) if detail.startswith("5.6."):
            return Fate.CONTENT_REFUSED
    return Fate.REFUSED if _is_permanent(reply) else Fate.DEFERRED


_DEAD = frozenset({"5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1"})


def _is_permanent(reply: Reply) -> bool:
    if reply.detail is not None and reply.detail[0] in "45":
        return reply.detail[0] == "5"
    return reply.code is not None and reply.code >= 500


def is_of_our_set_up(reply: Reply) -> bool:
    """Say whether the server asks for credentials or refuses them (RFC 4954, section 6)."""
    return reply.code in (530, 535) or reply.detail == "5.7.8"


def is_of_the_server(reply: Reply) -> bool:
    """Say whether a deferral is about the server's state and not about this mail."""
    detail = reply.detail or ""
    return reply.code in (None, 421) or detail == "4.3.2" or detail.startswith("4.4.")


_SIZE = re.compile("size|large|big", re.IGNORECASE)
_MAILBOX = re.compile("box|quota|storage", re.IGNORECASE)


def _complains_of_size(text: str) -> bool:
    """Tell too large a mail from too full a mailbox: both are 552 (RFC 5321 4.2.3, RFC 1870)."""
    return bool(_SIZE.search(text) and not _MAILBOX.search(text))
