"""What delivery relies on: the ledger, which remembers, and the relay, which takes mails away."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import NamedTuple, Protocol, Self

from mailer.policy import POLICY_TERMS
from mailer.replies import Reply
from mailer.results import Fate, InDoubt, Result, State
from schemas.addresses import EmailAddress
from schemas.errors import InvalidValue
from schemas.mails import OutgoingMail
from schemas.records import Record
from schemas.vocabulary import EventId, MailId, RuleId, TenantId

_LONGEST_ID = 1000  # bytes; a key of PostgreSQL's index may have 2,704


class MailKey(NamedTuple):
    """What a mail is known by in the ledger."""

    tenant_id: TenantId
    mail_id: MailId


class AddressNames(NamedTuple):
    """What stands for a recipient's address where the address itself may not be kept.

    Without a key there are no such names, and nobody can be suppressed.
    """

    address_hash: str | None
    envelope_token: str | None  #: of this one mail, in its envelope sender


NamesOf = Callable[[OutgoingMail], AddressNames]


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a ledger grants, by its own clock."""

    #: How long a claim holds; longer than all that may follow its start (email.md, section 6).
    lease: timedelta = timedelta(minutes=20)
    in_doubt: InDoubt = InDoubt.RESEND
    #: How long a refusal for good is on trial without a success: the relay may be at fault. Counted
    #: from the last refusal of the same process, so that those in a row stay together.
    trial: timedelta = timedelta(hours=6)
    dead_address: timedelta = timedelta(days=90)  #: how long an address counts as dead

    @property
    def longest_trial(self) -> timedelta:
        """Return how long refusals keep each other on trial: long enough for the policy breaker's
        row, however slowly it comes, and not for ever where it comes from too few domains.
        """
        return self.trial * POLICY_TERMS.refusals


TERMS = Terms()


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """An outgoing-mail record for the ledger; `value` is the record's bytes as they stood there."""

    tenant_id: TenantId
    mail_id: MailId
    event_id: EventId
    rule_id: RuleId
    recipient: EmailAddress
    names: AddressNames
    expires_at: datetime
    topic: str
    partition: int
    offset: int
    value: bytes = field(repr=False)
    in_doubt_count: int = 0  #: 1 where a ledger that is lost may have sent it

    @property
    def key(self) -> MailKey:
        """Return what the mail is known by."""
        return MailKey(self.tenant_id, self.mail_id)

    def __post_init__(self) -> None:
        for name in ("tenant_id", "mail_id", "event_id", "rule_id"):
            identity: str = getattr(self, name)
            if "\0" in identity or not 0 < len(identity.encode(errors="replace")) <= _LONGEST_ID:
                raise InvalidValue(f"{name}: empty, too long, or with a NUL")

    @classmethod
    def of(cls, mail: OutgoingMail, record: Record, names: AddressNames) -> Self:
        """Return the arrival of a record that holds the mail, or raise `InvalidValue`."""
        if record.value is None:
            raise InvalidValue("an outgoing mail has a value")
        return cls(
            tenant_id=mail.tenant_id,
            mail_id=mail.mail_id,
            event_id=mail.event_id,
            rule_id=mail.rule_id,
            recipient=mail.recipient,
            names=names,
            expires_at=mail.expires_at,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            value=record.value,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The noted right to try a mail. `number` grows with each claim of the mail.

    Instants are the ledger's: `claimed_at` is its present time.
    """

    tenant_id: TenantId
    mail_id: MailId
    event_id: EventId
    rule_id: RuleId
    owner: str
    number: int
    attempts: int  #: how often it was tried before
    in_doubt_count: int  #: how often it may have arrived before
    was_answered: bool  #: whether an attempt brought a reply to this mail
    is_suppressed: bool  #: whether its recipient is on the suppression list
    claimed_at: datetime
    taken_in_at: datetime
    expires_at: datetime
    value: bytes = field(repr=False)

    @property
    def key(self) -> MailKey:
        """Return what the mail is known by."""
        return MailKey(self.tenant_id, self.mail_id)


class Start(Enum):
    """What the ledger says when the content of a mail is about to go out."""

    GO = auto()  #: noted; the content may go out
    SUPPRESSED = auto()  #: the recipient has been put on the suppression list meanwhile
    LOST = auto()  #: the claim is no longer ours


class Written(NamedTuple):
    """What a write changed, in the order asked for."""

    noted: Sequence[bool]
    started: Sequence[Start]


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
    reply_detail: str | None
    reply_text: str | None
    was_answered: bool
    trial_until: datetime | None  #: until when a refusal may turn out to be the relay's fault
    owes_report: bool
    recipient: EmailAddress | None  #: None once it was forgotten
    address_hash: str | None  #: None where there was no key
    topic: str
    partition: int
    offset: int
    has_value: bool  #: whether the record's bytes are still kept

    @property
    def key(self) -> MailKey:
        """Return what the mail is known by."""
        return MailKey(self.tenant_id, self.mail_id)


class Ledger(Protocol):
    """A durable queue of mails: each (tenant, mail id) once, and what became of it.

    Time is the ledger's own: that of its database. Every method raises `LedgerUnavailable` when
    the answer is not known; the change it asked for may then have happened or not, and asking
    again is safe. Methods may be called by several threads and processes at once.
    """

    def take_in(self, arrivals: Sequence[Arrival]) -> int:
        """Add the mails whose key is not there yet and return how many those were.

        They are durable on return, due at once, and first in the order of their offsets. Of two
        records with one key the first one's bytes stay, also within one call. One that arrives in
        doubt is held where the ledger's terms say so, and counts as answered: if it is worth
        nothing any more it expires.
        """

    def claim(self, owner: str, most: int) -> Sequence[Claim]:
        """Claim the mails that have been due longest, up to `most`; none when nothing is due.

        No two claims of a mail have the same number, and a mail that is claimed is not claimed
        again until its claim is noted, taken over or older than its lease. A claim whose lease
        ended falls back to waiting; if its content had started it is in doubt, and held where the
        ledger's terms say so.
        """

    def write(
        self, results: Sequence[tuple[Claim, Result]], starts: Sequence[Claim] = ()
    ) -> Written:
        """Note what came of claims and whose content goes out from now on, all or nothing.

        Durable on return. A claim with a result is over; False: it was no longer ours, and nothing
        changed for it. Noting the same twice is noting it once. A mail that waits is due after the
        result's pause, or has its place in the order as it was. In doubt is counted. An end deletes
        the bytes, and a report is owed where the mail will not come; but a refusal for good is on
        trial first: its bytes stay, its report is not due, and nobody is suppressed by it.

        A start renews the lease; nothing may be sent on any other answer than GO.
        """

    def take_over(self, owner: str, known: Collection[Claim] = ()) -> int:
        """End every claim of an owner but the known ones at once and return how many those were.

        Each waits again and is due at once; if its content had started it is in doubt.
        """

    def end_trials(self, owner: str | None, but: Collection[Claim] = ()) -> int:
        """End the trials of an owner's refusals but some, or (None) those that are over.

        One is over where its owner has refused nothing for as long as a trial lasts, or where it
        lasts longer than refusals may keep each other on trial. They were right: their bytes are
        deleted and their reports due. A dead address is suppressed for its tenant. Return how many
        those were.
        """

    def hold_trials(self, owner: str) -> int:
        """Hold the mails of an owner whose refusals are on trial and return how many those were.

        Nobody is suppressed and no report is owed.
        """

    def counts(self) -> Mapping[State, int]:
        """Return how many mails stand in each state that is not final; every such state is there.

        The cost grows with these mails, not with those that are done.
        """

    def standing(self, tenant_id: TenantId, mail_id: MailId) -> Standing | None:
        """Return where a mail stands, or None if the ledger does not know it."""


class Upkeep(Protocol):
    """What a ledger needs now and then, in slices: each call changes up to `most` rows.

    Each returns how many it changed; fewer than `most`: there are no more. Raise
    `LedgerUnavailable` as `Ledger` does.
    """

    def forget_addresses(self, after: timedelta, most: int) -> int:
        """Delete the addresses of mails that ended so long ago; their keyed hash stays."""

    def forget_mails(self, after: timedelta, most: int) -> int:
        """Delete the rows of mails that ended so long ago and owe no report."""

    def forget_suppressions(self, most: int) -> int:
        """Delete suppressions that are over."""


class Replays(Protocol):
    """A ledger that was restored from a backup: what it knows, and what may have happened since.

    Each method raises `LedgerUnavailable` as `Ledger` does.
    """

    def taken_until(self, topic: str, at: datetime) -> Mapping[int, int]:
        """Return where intake was at that instant: per partition the offset after its last record.

        A partition without any record is not there.
        """

    def known(self, keys: Sequence[MailKey]) -> Collection[MailKey]:
        """Return which of these mails have a row."""

    def open_at(self, backup: datetime) -> int:
        """Return how many mails had not come to their end at that instant, and are not counted."""

    def doubt_open_at(self, backup: datetime) -> int:
        """Count each of these as in doubt once, and return how many those were.

        The ledger that is lost may have sent them. Where the terms say so those that wait are held.
        Asked again for the same instant nothing is counted again.
        """


class Reports(Protocol):
    """The reports that the ledger owes about mails that will not come."""

    def owed_reports(self, owner: str, most: int) -> Sequence[Standing]:
        """Return mails whose reports are due, the oldest first: those of the owner's own claims,
        and those of others that have been owed for so long that nobody else seems to care.
        """

    def reported(self, keys: Sequence[MailKey]) -> None:
        """Note that these reports were given; the same twice is once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """Who hands a mail to whom, and what the server may call it in its reports (RFC 3461)."""

    sender: EmailAddress
    recipient: EmailAddress
    mail_id: MailId


class Relay(Protocol):
    """The mail server, as one connection that is kept. Used by one thread at a time."""

    def hand_over(
        self, envelope: Envelope, content: bytes, starting: Callable[[], bool]
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

    def close_if_idle(self) -> None:
        """Give the connection back if nobody has used it for long."""
