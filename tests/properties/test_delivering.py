"""Delivery ends, and loses nothing, whatever fails and wherever the process dies.

Shown to fail on each of these planted bugs:
1. a start is granted without a look whether the claim is still the asker's;
2. a sender sends whatever the ledger says to its start;
3. the content goes out though noting its start failed;
4. no start is noted;
5. a take-over sets `in_doubt_count` back to one;
6. a result that the ledger did not take is dropped: in two runs of three, since the mail then goes
   out again and is counted; the fault matrix finds it in its row "ledger away after the 250".
"""

import itertools
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import strategies as st

from mailer.breaker import BreakerTerms
from mailer.delivery import Delivery
from mailer.desk import Desk
from mailer.feeding import Feed
from mailer.memory import MemoryLedger
from mailer.memory_relay import MemoryRelay
from mailer.migrating import upgrade
from mailer.mime import mime_bytes
from mailer.ports import (
    AddressNames,
    Arrival,
    Claim,
    Envelope,
    Ledger,
    Standing,
    Terms,
    Written,
)
from mailer.replies import Phase, Reply
from mailer.results import Result, State
from mailer.routes import Routes
from mailer.sending import Sending
from mailer.sql import SqlLedger
from mailer.tables import ledger_engine
from mailer.trials import Trials
from schemas.errors import LedgerUnavailable
from schemas.mails import OutgoingMail
from schemas.vocabulary import MailId, TenantId
from tests.builders import an_outgoing_mail
from tests.examples import examples

Value = TypeVar("Value")

NOTHING = timedelta(0)
OWNERS = ("deliver-0", "deliver-1")
LOST = Reply.missing("timed out", Phase.CONTENT)


class Killed(BaseException):
    """The process dies here."""


class LedgerFault(Enum):
    NONE = auto()
    AWAY = auto()  #: nothing happens, and nobody says so
    ANSWER_LOST = auto()  #: it happens, and nobody says so
    KILLED_BEFORE = auto()
    KILLED_AFTER = auto()


class RelayFault(Enum):
    NONE = auto()
    KILLED_BEFORE = auto()
    KILLED_AFTER_START = auto()
    KILLED_AFTER_ARRIVAL = auto()
    LOST_BEFORE_ARRIVAL = auto()
    CLAIM_LOST_BEFORE_START = auto()
    CLAIM_LOST_AFTER_START = auto()


@dataclass
class FaultyLedger:
    """A ledger that fails as the list says, call by call, and then works."""

    ledger: Ledger
    faults: deque[LedgerFault]
    unwritten: int = 0  #: results and starts of which nobody said that they were written

    def take_in(self, arrivals: Sequence[Arrival]) -> int:
        return self._call(lambda: self.ledger.take_in(arrivals))

    def claim(self, owner: str, most: int) -> Sequence[Claim]:
        return self._call(lambda: self.ledger.claim(owner, most))

    def write(
        self, results: Sequence[tuple[Claim, Result]], starts: Sequence[Claim] = ()
    ) -> Written:
        try:
            return self._call(lambda: self.ledger.write(results, starts))
        except LedgerUnavailable:
            self.unwritten += len(results) + len(starts)
            raise

    def take_over(self, owner: str, known: Collection[Claim] = ()) -> int:
        return self._call(lambda: self.ledger.take_over(owner, known))

    def end_trials(self, owner: str | None, but: Collection[Claim] = ()) -> int:
        return self._call(lambda: self.ledger.end_trials(owner, but))

    def hold_trials(self, owner: str) -> int:
        return self._call(lambda: self.ledger.hold_trials(owner))

    def counts(self) -> Mapping[State, int]:
        return self.ledger.counts()

    def standing(self, tenant_id: TenantId, mail_id: MailId) -> Standing | None:
        return self.ledger.standing(tenant_id, mail_id)

    def _call(self, act: Callable[[], Value]) -> Value:
        fault = self.faults.popleft() if self.faults else LedgerFault.NONE
        if fault is LedgerFault.AWAY:
            raise LedgerUnavailable
        if fault is LedgerFault.KILLED_BEFORE:
            raise Killed
        answer = act()
        if fault is LedgerFault.ANSWER_LOST:
            raise LedgerUnavailable
        if fault is LedgerFault.KILLED_AFTER:
            raise Killed
        return answer


@dataclass
class FaultyRelay:
    """A relay at which the process dies or is overtaken as the list says, mail by mail."""

    relay: MemoryRelay
    ledger: Ledger
    faults: deque[RelayFault]
    reasons_for_doubt: int = 0

    def hand_over(
        self, envelope: Envelope, content: bytes, starting: Callable[[], bool]
    ) -> Reply | None:
        fault = self.faults.popleft() if self.faults else RelayFault.NONE
        if fault is RelayFault.KILLED_BEFORE:
            raise Killed

        def start() -> bool:
            if fault is RelayFault.CLAIM_LOST_BEFORE_START:
                self._overtake()
            started = starting()
            if fault is RelayFault.KILLED_AFTER_START:
                raise Killed
            if fault is RelayFault.CLAIM_LOST_AFTER_START:
                self._overtake()
            return started

        if fault is RelayFault.LOST_BEFORE_ARRIVAL:
            self.reasons_for_doubt += 1
            return LOST if start() else None
        reply = self.relay.hand_over(envelope, content, start)
        if fault is RelayFault.KILLED_AFTER_ARRIVAL:
            raise Killed
        self.reasons_for_doubt += reply == LOST
        return reply

    def _overtake(self) -> None:
        self.reasons_for_doubt += 1
        for owner in OWNERS:
            self.ledger.take_over(owner)
        self.ledger.claim("deliver-2", 1)

    def close(self) -> None:
        self.relay.close()

    def close_if_idle(self) -> None:
        self.relay.close_if_idle()


@dataclass
class Clock:
    at: datetime = datetime(2026, 11, 24, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at

    def move_on(self) -> None:
        self.at += timedelta(minutes=1)


@dataclass
class World:
    """Processes that come and go over one ledger and one relay."""

    ledger: Ledger
    mails: Sequence[OutgoingMail]
    replies: Sequence[Reply]
    ledger_faults: Sequence[LedgerFault]
    relay_faults: Sequence[RelayFault]
    move_on: Callable[[], None]
    relay: MemoryRelay = field(default_factory=MemoryRelay)
    leases_end_at_once: bool = False  #: a claim may be claimed anew before its result is written
    reasons_for_doubt: int = 0  #: what happened; a ledger away for less than a lease is none

    def run(self) -> None:
        self.relay.answers.extend(self.replies)
        self.ledger.take_in([arrival_of(mail, n) for n, mail in enumerate(self.mails)])
        faulty = FaultyLedger(self.ledger, deque(self.ledger_faults))
        relay = FaultyRelay(self.relay, self.ledger, deque(self.relay_faults))
        lives = len(self.ledger_faults) + len(self.relay_faults) + 2
        for owner, _ in zip(itertools.cycle(OWNERS), range(lives), strict=False):
            try:
                self._live(faulty, relay, owner)
            except Killed:
                self.reasons_for_doubt += 1
            if self._is_over():
                break
        self.reasons_for_doubt += relay.reasons_for_doubt
        if self.leases_end_at_once:
            self.reasons_for_doubt += faulty.unwritten

    def _is_over(self) -> bool:
        return not any(self.ledger.counts().values())

    def _live(self, ledger: Ledger, relay: FaultyRelay, owner: str) -> None:
        """Be a process on one thread: the feed, a sender and the desk take turns."""
        feed, desk, trials, sending = self._parts(ledger, relay, owner)
        for _ in range(60):
            self.move_on()
            feed.step()
            job = feed.take(0)
            if job is not None:
                desk.note(job.claim, sending.deliveries[0].deliver(*job))
            desk.turn(0)
            trials.act()
            if self._is_over():
                break
        feed.give_back()
        desk.close()
        desk.run()

    def _parts(
        self, ledger: Ledger, relay: FaultyRelay, owner: str
    ) -> tuple[Feed, Desk, Trials, Sending]:
        by_value = {value_of(mail): mail for mail in self.mails}
        routes = Routes(names=["relay"], seconds=lambda: 0.0, terms=BreakerTerms(in_a_row=10_000))
        trials = Trials(ledger=ledger, owner=owner, seconds=lambda: 0.0)
        desk = Desk(
            ledger=ledger,
            told=lambda noted: sending.written(noted),
            trouble_pauses=(NOTHING,),
            await_answer=lambda _answered: desk.turn(0),
        )
        feed = Feed(
            ledger=ledger,
            owner=owner,
            read_mail=lambda value: by_value[value],
            note=desk.note,
            room=lambda: -1,
            seconds=lambda: 0.0,
            ahead=2,
            domain_rate=None,
            trouble_pauses=(NOTHING,),
        )
        delivery = Delivery(relays=[relay], routes=routes, start=desk.start, schedule=[NOTHING])
        sending = Sending(
            feed=feed,
            desk=desk,
            trials=trials,
            deliveries=[delivery],
            counted=lambda _result, _seconds: None,
            seconds=lambda: 0.0,
        )
        return feed, desk, trials, sending

    def standing(self, mail: OutgoingMail) -> Standing:
        standing = self.ledger.standing(mail.tenant_id, mail.mail_id)
        assert standing is not None
        return standing

    @property
    def copies(self) -> Counter[bytes]:
        return Counter(taken.content for taken in self.relay.arrived)


def value_of(mail: OutgoingMail) -> bytes:
    return mail.mail_id.encode()


def arrival_of(mail: OutgoingMail, offset: int) -> Arrival:
    return Arrival(
        tenant_id=mail.tenant_id,
        mail_id=mail.mail_id,
        event_id=mail.event_id,
        rule_id=mail.rule_id,
        recipient=mail.recipient,
        names=AddressNames("hash", "token"),
        expires_at=mail.expires_at,
        topic="outgoing-mail",
        partition=0,
        offset=offset,
        value=value_of(mail),
    )


replies = st.lists(
    st.sampled_from(
        [
            Reply(250, "2.0.0", "2.0.0 ok", Phase.CONTENT),
            Reply(451, "4.7.1", "4.7.1 later", Phase.RCPT),
            Reply(451, None, "later", Phase.CONTENT),
            Reply(421, "4.3.2", "4.3.2 bye", Phase.MAIL),
            Reply(550, "5.1.1", "5.1.1 nobody", Phase.RCPT),
            Reply(554, None, "no", Phase.CONTENT),
            Reply.missing("connection refused", Phase.CONNECT),
            Reply.missing("timed out", Phase.RCPT),
            LOST,
        ]
    ),
    max_size=12,
)
# Mostly well, so that a fault also meets a mail that is far on its way.
ledger_faults = st.lists(
    st.sampled_from([*[LedgerFault.NONE] * 10, *LedgerFault]), min_size=4, max_size=25
)
relay_faults = st.lists(st.sampled_from([*[RelayFault.NONE] * 5, *RelayFault]), max_size=8)
mail_counts = st.integers(1, 4)


def some_mails(count: int, tenant: str) -> list[OutgoingMail]:
    return [
        an_outgoing_mail(tenant_id=TenantId(tenant), mail_id=MailId(f"{tenant}-{number:032x}"))
        for number in range(count)
    ]


def check(world: World) -> None:
    """Say what holds in the end, for each mail."""
    world.run()

    copies = world.copies
    assert set(copies) <= {mime_bytes(mail) for mail in world.mails}  # all alike, nothing else
    for mail in world.mails:
        mail_copies, standing = copies[mime_bytes(mail)], world.standing(mail)
        assert standing.state.is_final
        assert mail_copies <= standing.in_doubt_count + (standing.state is State.SENT)
        assert mail_copies >= (standing.state is State.SENT)
    doubts = sum(world.standing(mail).in_doubt_count for mail in world.mails)
    assert doubts <= world.reasons_for_doubt


# What it is there to find: handing over what is claimed already, a start that is not
# noted before the content, a lost answer taken for a yes or a no, doubt forgotten by a take-over or
# by giving up, a result dropped while the ledger is away, other bytes at another attempt.
@given(mail_counts, replies, ledger_faults, relay_faults)
@examples(3)
def test_every_mail_ends_and_each_further_copy_was_in_doubt(
    count: int,
    said: list[Reply],
    faults: list[LedgerFault],
    deaths: list[RelayFault],
) -> None:
    clock = Clock()
    mails = some_mails(count, "acme")
    check(World(MemoryLedger(clock.now), mails, said, faults, deaths, clock.move_on))


@pytest.fixture
def sqlite_ledger(tmp_path: Path) -> Iterator[SqlLedger]:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    upgrade(url)
    engine = ledger_engine(url)
    yield SqlLedger(engine, Terms(lease=NOTHING))
    engine.dispose()


_tenants = itertools.count()


# The same, where the ledger is SQL: each example is a tenant of its own. Nobody can set the clock
# of a database forward, so leases last no time there.
@given(mail_counts, replies, ledger_faults, relay_faults)
@examples(0.15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(
    count=2,
    said=[
        Reply.missing("connection refused", Phase.CONNECT),
        Reply(250, "2.0.0", "2.0.0 ok", Phase.CONTENT),
    ],
    faults=[*[LedgerFault.NONE] * 7, LedgerFault.AWAY],
    deaths=[],
)
def test_every_mail_ends_in_sqlite_too(
    sqlite_ledger: SqlLedger,
    count: int,
    said: list[Reply],
    faults: list[LedgerFault],
    deaths: list[RelayFault],
) -> None:
    mails = some_mails(count, f"t-{next(_tenants)}")
    world = World(sqlite_ledger, mails, said, faults, deaths, lambda: None, leases_end_at_once=True)
    check(world)
