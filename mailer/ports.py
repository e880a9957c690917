"""What delivery relies on: the ledger, which remembers, and the relay, which takes mails away."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol, Self

from mailer.replies import Reply
from mailer.results import Fate, Result, State
from schemas.addresses import EmailAddress
from schemas.errors import InvalidValue
from schemas.mails import OutgoingMail
from schemas.records import Record
from schemas.vocabulary import EventId, MailId, RuleId, TenantId

#: How long a claim holds; longer than all that may follow its start (email.md, section 6).
LEASE = timedelta(minutes=20)

_LONGEST_ID = 1000  # bytes; a key of PostgreSQL's index may have 2,704


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """An outgoing-mail record for the ledger; `value` is the record's bytes as they stood there."""

    tenant_id: TenantId
    mail_id: MailId
    event_id: EventId
    rule_id: RuleId
    expires_at: datetime
    topic: str
    partition: int
    offset: int
    value: bytes = field(repr=False)

    def __post_init__(self) -> None:
        for name in ("tenant_id", "mail_id", "event_id", "rule_id"):
            identity: str = getattr(self, name)
            if "\0" in identity or not 0 < len(identity.encode(errors="replace")) <= _LONGEST_ID:
                raise InvalidValue(f"{name}: empty, too long, or with a NUL")

    @classmethod
    def of(cls, mail: OutgoingMail, record: Record) -> Self:
        """Return the arrival of a record that holds the mail, or raise `InvalidValue`."""
        if record.value is None:
            raise InvalidValue("an outgoing mail has a value")
        return cls(
            tenant_id=mail.tenant_id,
            mail_id=mail.mail_id,
            event_id=mail.event_id,
            rule_id=mail.rule_id,
            expires_at=mail.expires_at,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            value=record.value,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The noted right to try a mail. `number` grows with each claim of the mail."""

    tenant_id: TenantId
    mail_id: MailId
    event_id: EventId
    rule_id: RuleId
    owner: str
    number: int
    attempts: int  #: how often it was tried before
    in_doubt_count: int  #: how often it may have arrived before
    value: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a mail stands and how it got there; everything the ledger knows but the bytes."""

    tenant_id: TenantId
    mail_id: MailId
    event_id: EventId
    rule_id: RuleId
    state: State
    attempts: int
    in_doubt_count: int
    owner: str | None
    claim_number: int
    lease_until: datetime | None
    next_attempt_at: datetime
    expires_at: datetime
    data_started_at: datetime | None
    taken_in_at: datetime
    finished_at: datetime | None
    fate: Fate | None  #: of the last attempt
    reply_code: int | None
    reply_text: str | None
    topic: str
    partition: int
    offset: int
    has_value: bool  #: whether the record's bytes are still kept


class Ledger(Protocol):
    """A durable queue of mails: each (tenant, mail id) once, and what became of it.

    Time is the ledger's own: that of its database. Every method raises `LedgerUnavailable` when
    the answer is not known; the change it asked for may then have happened or not, and asking
    again is safe. Methods may be called by several threads and processes at once.
    """

    def take_in(self, arrivals: Sequence[Arrival]) -> int:
        """Add the mails whose key is not there yet and return how many those were.

        They are durable on return, due at once, and first in the order of their offsets. Of two
        records with one key the first one's bytes stay, also within one call.
        """

    def claim(self, owner: str) -> Claim | None:
        """Claim the mail that has been due longest, or return None when none is due.

        No two claims of a mail have the same number, and a mail that is claimed is not claimed
        again until its claim is noted, taken over or older than its lease. A claim whose lease
        ended falls back to waiting, in doubt if its content had started.
        """

    def note_start(self, claim: Claim) -> bool:
        """Note that the content goes out from now on, and renew the lease; durable on return.

        False: the claim is no longer ours, and nothing may be sent.
        """

    def note(self, claim: Claim, result: Result) -> bool:
        """Note what came of a claim; the claim is then over.

        A final state deletes the bytes. A mail that waits is due after the result's pause; in
        doubt is counted, also where the mail is then given up. An attempt that was none leaves
        the mail's place in the order as it was. False: the claim was no longer ours, and nothing
        changed. Noting the same twice is noting it once.
        """

    def take_over(self, owner: str) -> int:
        """End every claim of a dead owner at once and return how many those were.

        Each waits again and is due at once, in doubt if its content had started.
        """

    def counts(self) -> Mapping[State, int]:
        """Return how many mails stand in each state that is not final; every such state is there.

        The cost grows with these mails, not with those that are done.
        """

    def standing(self, tenant_id: TenantId, mail_id: MailId) -> Standing | None:
        """Return where a mail stands, or None if the ledger does not know it."""


class Relay(Protocol):
    """The mail server, as one connection that is kept. Used by one thread at a time."""

    def hand_over(
        self,
        sender: EmailAddress,
        recipient: EmailAddress,
        content: bytes,
        starting: Callable[[], bool],
    ) -> Reply | None:
        """Hand one mail over for one recipient and return the reply that decided.

        `content` is MIME with CRLF at each line's end. The mail is accepted if and only if the
        reply's phase is CONTENT and its code is 2xx. `starting` is called once the server is ready
        for the content (354) and before its first byte: where it returns False or raises, the
        content does not go out, the connection is closed, and None is returned or the error passed
        on. Whatever fails on the network is a reply without a code; in phase CONTENT it leaves in
        doubt whether the mail arrived, in any other phase the mail did not arrive. After any reply
        but acceptance the next mail gets a connection of its own.
        """

    def close(self) -> None:
        """Give the connection back. The next mail opens another."""
