import itertools
import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mailer.delivery import Delivery, Sender
from mailer.memory import MemoryLedger, MemoryRelay
from mailer.mime import mime_bytes
from mailer.ports import Arrival, Claim, Standing
from mailer.replies import Phase, Reply
from mailer.results import Fate, Result, State
from schemas.errors import (
    InvalidEvent,
    InvalidValue,
    LedgerUnavailable,
    RegistryUnavailable,
)
from schemas.mails import OutgoingMail
from schemas.records import Record
from schemas.vocabulary import DeadLetterReason, MailId
from tests.builders import an_outgoing_mail

MINUTE = timedelta(minutes=1)
NOTHING = timedelta(0)
NOBODY = Reply(550, "5.1.1", "5.1.1 nobody", Phase.RCPT)
LATER = Reply(451, "4.7.1", "4.7.1 later", Phase.RCPT)
AWAY = Reply.missing("connection refused", Phase.CONNECT)
LOST = Reply.missing("timed out", Phase.CONTENT)


@dataclass
class Office:
    """A ledger, a relay and a delivery between them; time moves only when told to."""

    mails: dict[bytes, OutgoingMail] = field(default_factory=dict)
    at: datetime = datetime(2026, 11, 24, 8, tzinfo=UTC)

    def __post_init__(self) -> None:
        self.ledger = MemoryLedger(lambda: self.at)
        self.relay = MemoryRelay()
        self.delivery = self.a_delivery()

    def a_delivery(self, **changes: Any) -> Delivery:
        parts: dict[str, Any] = {
            "ledger": self.ledger,
            "relay": self.relay,
            "owner": "deliver-0",
            "read_mail": self.mails.__getitem__,
            "schedule": [MINUTE],
        }
        return Delivery(**parts | changes)

    def take_in(self, mail: OutgoingMail) -> OutgoingMail:
        value = mail.mail_id.encode()
        self.mails[value] = mail
        record = Record("outgoing-mail", 0, len(self.mails), -1, None, value)
        self.ledger.take_in([Arrival.of(mail, record)])
        return mail

    def standing(self, mail: OutgoingMail) -> Standing:
        standing = self.ledger.standing(mail.tenant_id, mail.mail_id)
        assert standing is not None
        return standing

    @property
    def arrived(self) -> list[bytes]:
        return [taken.content for taken in self.relay.arrived]


@pytest.fixture
def office() -> Office:
    return Office()


def a_mail(number: int = 1) -> OutgoingMail:
    return an_outgoing_mail(mail_id=MailId(f"{number:032x}"))


def test_nothing_due_is_no_result(office: Office) -> None:
    assert office.delivery.step() is None


def test_a_mail_is_handed_over_from_its_sender_to_its_recipient(office: Office) -> None:
    mail = office.take_in(a_mail())

    result = office.delivery.step()

    assert result is not None
    assert result.fate is Fate.SENT
    taken = office.relay.arrived[0]
    assert (taken.sender, taken.recipient) == (mail.from_address, mail.recipient)
    assert taken.content == mime_bytes(mail)
    assert office.standing(mail).state is State.SENT


def test_a_sent_mail_is_not_sent_again(office: Office) -> None:
    office.take_in(a_mail())
    office.delivery.step()

    assert office.delivery.step() is None


def test_a_deferred_mail_is_tried_again_after_its_pause(office: Office) -> None:
    mail = office.take_in(a_mail())
    office.relay.answers.append(LATER)

    assert office.delivery.step() == Result(Fate.DEFERRED, LATER, MINUTE)
    assert office.delivery.step() is None
    office.at += MINUTE
    office.delivery.step()

    assert office.standing(mail).attempts == 2
    assert office.arrived == [mime_bytes(mail)]


def test_a_refused_mail_fails_and_is_logged_without_its_address(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    mail = office.take_in(a_mail())
    office.relay.answers.append(NOBODY)

    assert office.delivery.step() == Result(Fate.DEAD_ADDRESS, NOBODY)

    assert office.standing(mail).state is State.FAILED
    assert office.standing(mail).reply_code == 550
    record = caplog.records[-1]
    assert (record.message, record.levelno) == ("mail_refused", logging.ERROR)
    assert mail.recipient.text not in str(record.__dict__)


def test_a_refused_mail_does_not_stop_the_next(office: Office) -> None:
    office.take_in(a_mail(1))
    second = office.take_in(a_mail(2))
    office.relay.answers.append(NOBODY)

    office.delivery.step()
    office.delivery.step()

    assert office.arrived == [mime_bytes(second)]


def test_a_failure_after_doubt_is_logged_as_perhaps_arrived(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    office.take_in(a_mail())
    office.relay.answers.extend([LOST, NOBODY])

    office.delivery.step()
    office.at += MINUTE
    office.delivery.step()

    assert caplog.records[-1].__dict__["may_have_arrived"] is True


@pytest.mark.parametrize(
    "error",
    [
        InvalidEvent(DeadLetterReason.UNDECODABLE, "cut"),
        InvalidValue("not a mail address"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_row_that_cannot_be_read_fails_and_blocks_nobody(
    office: Office, error: Exception
) -> None:
    spoilt, good = office.take_in(a_mail(1)), office.take_in(a_mail(2))

    def read(value: bytes) -> OutgoingMail:
        if value == spoilt.mail_id.encode():
            raise error
        return office.mails[value]

    delivery = office.a_delivery(read_mail=read)

    first, second = delivery.step(), delivery.step()

    assert first is not None
    assert second is not None
    assert (first.fate, second.fate) == (Fate.UNREADABLE, Fate.SENT)
    assert office.standing(spoilt).state is State.FAILED
    assert office.arrived == [mime_bytes(good)]


def test_a_mail_of_which_no_mime_can_be_made_fails(office: Office) -> None:
    office.take_in(an_outgoing_mail(subject="two\nlines"))

    result = office.delivery.step()

    assert result is not None
    assert result.fate is Fate.UNREADABLE


def test_while_the_registry_is_away_the_mail_waits(office: Office) -> None:
    mail = office.take_in(a_mail())

    def read(_value: bytes) -> OutgoingMail:
        raise RegistryUnavailable

    result = office.a_delivery(read_mail=read).step()

    assert result is not None
    assert result.fate is Fate.POSTPONED
    assert (office.standing(mail).state, office.standing(mail).attempts) == (State.WAITING, 0)


def test_trouble_of_the_relay_counts_no_attempt_and_the_same_mail_is_next(office: Office) -> None:
    first = office.take_in(a_mail(1))
    office.take_in(a_mail(2))
    office.relay.answers.append(AWAY)

    assert office.delivery.step() == Result(Fate.RELAY_TROUBLE, AWAY)
    assert office.standing(first).attempts == 0
    office.delivery.step()

    assert office.arrived == [mime_bytes(first)]


def test_an_answer_that_got_lost_leaves_the_mail_in_doubt_and_it_comes_again_alike(
    office: Office,
) -> None:
    mail = office.take_in(a_mail())
    office.relay.answers.append(LOST)

    office.delivery.step()
    office.at += MINUTE
    office.delivery.step()

    assert office.standing(mail).in_doubt_count == 1
    assert office.arrived == [mime_bytes(mail)] * 2


def test_a_claim_that_was_taken_over_sends_nothing(office: Office) -> None:
    mail = office.take_in(a_mail())

    def read_slowly(value: bytes) -> OutgoingMail:
        office.at += timedelta(minutes=21)
        office.ledger.claim("deliver-1")
        return office.mails[value]

    result = office.a_delivery(read_mail=read_slowly).step()

    assert result is not None
    assert result.fate is Fate.CLAIM_LOST
    assert office.arrived == []
    assert office.standing(mail).owner == "deliver-1"


@dataclass
class AwayOnce:
    """Stands before a method of the ledger, and gives no answer the first time."""

    method: Callable[..., Any]
    acts: bool  #: whether what was asked for happens nevertheless
    was_away: bool = False

    def __call__(self, *arguments: Any) -> Any:
        if self.was_away:
            return self.method(*arguments)
        self.was_away = True
        if self.acts:
            self.method(*arguments)
        raise LedgerUnavailable


class PartlyAway:
    """A ledger of which one method is away once."""

    def __init__(self, ledger: MemoryLedger, method: str, *, acts: bool = False) -> None:
        self.ledger = ledger
        self.away = {method: AwayOnce(getattr(ledger, method), acts)}

    def __getattr__(self, name: str) -> Any:
        return self.away.get(name) or getattr(self.ledger, name)


@pytest.mark.parametrize("acts", [False, True])
def test_a_result_the_ledger_did_not_take_is_kept_and_nothing_is_sent_meanwhile(
    office: Office, acts: bool
) -> None:
    first = office.take_in(a_mail(1))
    office.take_in(a_mail(2))
    delivery = office.a_delivery(ledger=PartlyAway(office.ledger, "note", acts=acts))

    with pytest.raises(LedgerUnavailable):
        delivery.step()
    result = delivery.step()

    assert result is not None
    assert result.fate is Fate.SENT
    assert office.standing(first).state is State.SENT
    assert office.arrived == [mime_bytes(first)]


@pytest.mark.parametrize("acts", [False, True])
def test_a_start_the_ledger_did_not_note_sends_nothing(office: Office, acts: bool) -> None:
    mail = office.take_in(a_mail())
    delivery = office.a_delivery(ledger=PartlyAway(office.ledger, "note_start", acts=acts))

    result = delivery.step()

    assert result is not None
    assert result.fate is Fate.POSTPONED
    assert office.arrived == []
    assert (office.standing(mail).state, office.standing(mail).in_doubt_count) == (
        State.WAITING,
        0,
    )


# The sender


@dataclass
class Shift:
    """A sender that works until it has beaten so often."""

    delivery: Delivery
    beats: int = 10
    results: list[Result] = field(default_factory=list)

    def work(self) -> None:
        stop, beats = threading.Event(), itertools.count(1)
        ticks = itertools.count()
        sender = Sender(
            delivery=self.delivery,
            counted=lambda result, seconds: self.results.append(result) if seconds == 1 else None,
            seconds=lambda: float(next(ticks)),
            trouble_pauses=[NOTHING],
        )

        def beat() -> None:
            if next(beats) >= self.beats:
                stop.set()

        sender.run(stop, idle=NOTHING, beat=beat)


def test_a_sender_delivers_all_that_is_due_and_counts_each_attempt(office: Office) -> None:
    for number in range(3):
        office.take_in(a_mail(number))
    office.relay.answers.append(LATER)
    shift = Shift(office.delivery)

    shift.work()

    assert [result.fate for result in shift.results] == [Fate.DEFERRED, Fate.SENT, Fate.SENT]


def test_a_sender_first_takes_over_what_its_slot_left(office: Office) -> None:
    mail = office.take_in(a_mail())
    left: Claim | None = office.ledger.claim("deliver-0")
    assert left is not None
    office.ledger.note_start(left)

    Shift(office.delivery).work()

    assert (office.standing(mail).state, office.standing(mail).in_doubt_count) == (State.SENT, 1)


def test_a_sender_closes_the_connection_when_it_stops(office: Office) -> None:
    office.take_in(a_mail(1))
    Shift(office.delivery).work()
    office.take_in(a_mail(2))

    Shift(office.delivery).work()

    assert office.relay.connections == 2


@pytest.mark.parametrize("method", ["take_over", "claim", "note_start", "note"])
@pytest.mark.parametrize("acts", [False, True])
def test_a_sender_outlives_a_ledger_that_was_away(office: Office, method: str, acts: bool) -> None:
    mail = office.take_in(a_mail())
    delivery = office.a_delivery(ledger=PartlyAway(office.ledger, method, acts=acts))

    Shift(delivery).work()

    assert office.standing(mail).state is State.SENT
    assert office.arrived == [mime_bytes(mail)]


def test_a_ledger_that_stays_away_is_said_once(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    def never(*_arguments: Any) -> Any:
        raise LedgerUnavailable

    ledger = PartlyAway(office.ledger, "claim")
    ledger.away["claim"] = never  # type: ignore[assignment]  # away for good

    Shift(office.a_delivery(ledger=ledger)).work()

    assert [record.message for record in caplog.records] == ["ledger_unavailable"]


def test_a_sender_that_is_stopped_notes_the_result_it_owes(office: Office) -> None:
    mail = office.take_in(a_mail())
    delivery = office.a_delivery(ledger=PartlyAway(office.ledger, "note"))

    Shift(delivery, beats=2).work()

    assert office.standing(mail).state is State.SENT


def test_a_waiting_sender_stops_at_once(office: Office) -> None:
    stop = threading.Event()
    sender = Sender(
        delivery=office.delivery, counted=lambda _result, _seconds: None, seconds=lambda: 0.0
    )
    thread = threading.Thread(
        target=lambda: sender.run(stop, idle=timedelta(hours=1), beat=lambda: None)
    )
    thread.start()

    stop.set()
    thread.join(4)

    assert not thread.is_alive()


def test_pauses_grow_while_the_relay_is_in_trouble_and_start_afresh_after(office: Office) -> None:
    office.take_in(a_mail(1))
    office.take_in(a_mail(2))
    office.relay.answers = deque([AWAY, AWAY, AWAY, AWAY])
    pauses = [timedelta(seconds=1), timedelta(seconds=2), timedelta(seconds=5)]
    sender = Sender(
        delivery=office.delivery,
        counted=lambda _result, _seconds: None,
        seconds=lambda: 0.0,
        trouble_pauses=pauses,
    )
    idle = timedelta(seconds=9)

    waits = [sender.step(idle).total_seconds() for _ in range(5)]
    office.relay.answers.append(AWAY)
    waits.append(sender.step(idle).total_seconds())

    assert waits == [1, 2, 5, 5, 0, 1]
