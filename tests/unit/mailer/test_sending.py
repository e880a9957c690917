"""Senders on real threads, over a ledger and relays in memory."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any

import pytest

from mailer.delivery import Delivery
from mailer.desk import Desk
from mailer.feeding import Feed
from mailer.memory import MemoryLedger
from mailer.memory_relay import MemoryRelay
from mailer.policy import PolicyTerms
from mailer.ports import AddressNames, Arrival, Standing
from mailer.replies import Phase, Reply
from mailer.results import Fate, Result, State
from mailer.routes import Routes
from mailer.sending import Sending, log
from mailer.trials import Trials
from schemas.addresses import EmailAddress
from schemas.mails import OutgoingMail
from schemas.records import Record
from schemas.vocabulary import MailId
from tests.builders import an_outgoing_mail
from tests.real.waiting import wait_until
from tests.unit.mailer.test_deciding import FRESH

NOBODY = Reply(550, "5.1.1", "5.1.1 nobody", Phase.RCPT)
FEW = PolicyTerms(refusals=4, domains=2, first_pause=0.05, longest_pause=0.05)


@dataclass
class Works:
    """A process's senders: one relay each."""

    senders: int = 3
    policy: PolicyTerms = FEW
    mails: dict[bytes, OutgoingMail] = field(default_factory=dict)
    results: list[Result] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ledger = MemoryLedger(lambda: datetime.now(UTC))
        self.relays = [MemoryRelay() for _ in range(self.senders)]
        self.sending = self._sending()
        self.stop = threading.Event()

    def _sending(self) -> Sending:
        clock = monotonic
        routes = Routes(names=["relay"], seconds=clock)
        trials = Trials(ledger=self.ledger, owner="deliver-0", seconds=clock, terms=self.policy)
        desk = Desk(ledger=self.ledger, told=lambda noted: sending.written(noted))
        feed = Feed(
            ledger=self.ledger,
            owner="deliver-0",
            read_mail=self.mails.__getitem__,
            note=desk.note,
            room=trials.room,
            seconds=clock,
            ahead=8,
            domain_rate=None,
            idle=timedelta(milliseconds=5),
        )
        sending = Sending(
            feed=feed,
            desk=desk,
            trials=trials,
            deliveries=[
                Delivery(relays=[relay], routes=routes, start=desk.start) for relay in self.relays
            ],
            counted=lambda result, _seconds: self.results.append(result),
            seconds=clock,
        )
        return sending

    def take_in(self, count: int) -> list[OutgoingMail]:
        mails = [
            an_outgoing_mail(
                mail_id=MailId(f"{number:032x}"),
                recipient=EmailAddress(f"anna@d{number % 5}.example"),
                expires_at=datetime.now(UTC) + timedelta(days=1),
            )
            for number in range(count)
        ]
        for mail in mails:
            value = mail.mail_id.encode()
            self.mails[value] = mail
            record = Record("outgoing-mail", 0, len(self.mails), -1, None, value)
            names = AddressNames(f"hash-{mail.mail_id}", None)
            self.ledger.take_in([Arrival.of(mail, record, names)])
        return mails

    def standing(self, mail: OutgoingMail) -> Standing:
        standing = self.ledger.standing(mail.tenant_id, mail.mail_id)
        assert standing is not None
        return standing

    def states(self, mails: list[OutgoingMail]) -> set[State]:
        return {self.standing(mail).state for mail in mails}

    def work_until(self, is_done: Callable[[], bool]) -> None:
        bodies = self.sending.bodies(self.stop, [lambda: None] * (self.senders + 1))
        threads = [threading.Thread(target=body) for body in bodies]
        for thread in threads:
            thread.start()
        try:
            wait_until(is_done, "the senders to be done", 20)
        finally:
            self.stop.set()
            for thread in threads:
                thread.join(10)
        assert not any(thread.is_alive() for thread in threads)

    @property
    def arrived(self) -> list[str]:
        return [taken.recipient.text for relay in self.relays for taken in relay.arrived]


def test_all_that_is_due_is_delivered_once_and_written_before_the_end() -> None:
    works = Works()
    mails = works.take_in(60)

    works.work_until(lambda: len(works.results) >= 60)

    assert works.states(mails) == {State.SENT}
    assert len(works.arrived) == 60


def test_stopped_senders_give_back_what_was_only_claimed() -> None:
    works = Works()
    works.stop.set()
    mails = works.take_in(20)

    works.work_until(lambda: True)

    assert works.ledger.counts()[State.CLAIMED] == 0
    assert works.states(mails) <= {State.WAITING, State.SENT}


def test_connections_are_closed_when_they_stop() -> None:
    works = Works(senders=1)
    works.take_in(1)

    works.work_until(lambda: len(works.results) >= 1)

    assert not works.relays[0]._connected


# One wrong setting at the relay must not throw the mails away.
def test_a_relay_that_refuses_everything_has_its_mails_held_and_nobody_suppressed() -> None:
    works = Works(policy=PolicyTerms(refusals=4, domains=2, first_pause=60))
    mails = works.take_in(40)
    for relay in works.relays:
        relay.answers.extend([NOBODY] * 40)

    works.work_until(lambda: works.ledger.counts()[State.HELD] >= 4)

    assert works.states(mails) <= {State.HELD, State.WAITING}
    assert works.ledger.of_tenant(mails[0].tenant_id) == []


def test_a_relay_that_comes_to_its_senses_gets_the_mails_that_still_wait() -> None:
    works = Works(senders=1)
    mails = works.take_in(12)
    works.relays[0].answers.extend([NOBODY] * 5)

    works.work_until(lambda: works.states(mails) == {State.HELD, State.SENT})

    assert works.ledger.counts()[State.HELD] == 5
    assert not works.sending.trials.is_open


def test_a_dead_address_is_suppressed_once_a_mail_gets_through() -> None:
    works = Works(senders=1)
    dead, _ = works.take_in(2)
    works.relays[0].answers.append(NOBODY)

    works.work_until(lambda: len(works.results) >= 2)

    assert (works.standing(dead).state, works.standing(dead).has_value) == (State.FAILED, False)
    (found,) = works.ledger.of_tenant(dead.tenant_id)
    assert found.address_hash == f"hash-{dead.mail_id}"


@pytest.mark.parametrize(
    ("result", "action", "level"),
    [
        (Result(Fate.SENT, Reply(250, None, "ok", Phase.CONTENT)), "mail_sent", logging.INFO),
        (Result(Fate.DEAD_ADDRESS, NOBODY), "mail_refused", logging.ERROR),
        (Result(Fate.SUPPRESSED), "mail_suppressed", logging.INFO),
        (
            Result(Fate.RELAY_TROUBLE, Reply.missing("away", Phase.CONNECT)),
            "relay_trouble",
            logging.WARNING,
        ),
        (
            Result(Fate.IN_DOUBT, Reply.missing("lost", Phase.CONTENT), timedelta(seconds=9)),
            "mail_deferred",
            logging.WARNING,
        ),
    ],
    ids=lambda value: str(getattr(value, "fate", value)),
)
def test_what_came_of_a_mail_is_said_without_its_address(
    caplog: pytest.LogCaptureFixture, result: Result, action: str, level: int
) -> None:
    with caplog.at_level(logging.INFO):
        log(FRESH, result)

    record: Any = caplog.records[-1]
    assert (record.message, record.levelno, record.mail_id) == (action, level, "mail-1")
    assert "@" not in str(record.__dict__)


def test_a_failure_after_doubt_is_said_to_have_perhaps_arrived(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log(replace(FRESH, in_doubt_count=1), Result(Fate.DEAD_ADDRESS, NOBODY))

    assert caplog.records[-1].__dict__["may_have_arrived"] is True
