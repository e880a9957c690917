from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, NoReturn

import pytest

from mailer.breaker import BreakerTerms
from mailer.delivery import Delivery
from mailer.memory_relay import MemoryRelay
from mailer.mime import mime_bytes
from mailer.ports import Claim, Start
from mailer.replies import Phase, Reply
from mailer.results import Fate, Result
from mailer.routes import Routes
from schemas.errors import LedgerUnavailable
from schemas.mails import OutgoingMail
from tests.builders import an_outgoing_mail
from tests.unit.mailer.test_deciding import FRESH

MINUTE = timedelta(minutes=1)
MAIL = an_outgoing_mail()
NOBODY = Reply(550, "5.1.1", "5.1.1 nobody", Phase.RCPT)
LATER = Reply(451, "4.7.1", "4.7.1 later", Phase.RCPT)
AWAY = Reply.missing("connection refused", Phase.CONNECT)
BUSY = Reply(421, None, "bye", Phase.DATA)
LOST = Reply.missing("timed out", Phase.CONTENT)


@dataclass
class Counter:
    """Two relays behind a counter; time moves only when told to."""

    now: float = 0.0
    waited: list[float] = field(default_factory=list)
    said: list[tuple[str, bool]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.first, self.second = MemoryRelay(), MemoryRelay()

    def a_delivery(self, start: Callable[[Claim], Start] | None = None, **terms: Any) -> Delivery:
        routes = Routes(
            names=["first", "second"],
            seconds=lambda: self.now,
            terms=BreakerTerms(in_a_row=2),
            changed=lambda name, is_open: self.said.append((name, is_open)),
            **terms,
        )
        return Delivery(
            relays=[self.first, self.second],
            routes=routes,
            start=start or (lambda _claim: Start.GO),
            schedule=[MINUTE],
            chance=lambda: 0.5,
            pause=self.waited.append,
        )


@pytest.fixture
def counter() -> Counter:
    return Counter()


def test_a_mail_is_handed_over_from_its_sender_to_its_recipient(counter: Counter) -> None:
    result = counter.a_delivery().deliver(FRESH, MAIL)

    assert result.fate is Fate.SENT
    (taken,) = counter.first.arrived
    assert (taken.sender, taken.recipient) == (MAIL.from_address, MAIL.recipient)
    assert taken.content == mime_bytes(MAIL)


@pytest.mark.parametrize(
    ("reply", "fate"),
    [(NOBODY, Fate.DEAD_ADDRESS), (LATER, Fate.DEFERRED), (LOST, Fate.IN_DOUBT)],
)
def test_the_first_server_that_has_something_to_say_of_the_mail_decides(
    counter: Counter, reply: Reply, fate: Fate
) -> None:
    counter.first.answers.append(reply)

    assert counter.a_delivery().deliver(FRESH, MAIL).fate is fate
    assert counter.second.connections == 0


@pytest.mark.parametrize("reply", [AWAY, BUSY])
def test_the_next_server_is_asked_where_the_first_is_away_before_the_content(
    counter: Counter, reply: Reply
) -> None:
    counter.first.answers.append(reply)

    assert counter.a_delivery().deliver(FRESH, MAIL).fate is Fate.SENT
    assert len(counter.second.arrived) == 1


def test_where_all_are_away_the_last_one_decides(counter: Counter) -> None:
    counter.first.answers.append(AWAY)
    counter.second.answers.append(BUSY)

    assert counter.a_delivery().deliver(FRESH, MAIL) == Result(Fate.DEFERRED, BUSY, MINUTE)


def test_a_server_that_was_away_too_often_is_left_alone_for_a_while(counter: Counter) -> None:
    counter.first.answers.extend([AWAY] * 9)
    delivery = counter.a_delivery()

    for _ in range(5):
        delivery.deliver(FRESH, MAIL)

    assert (len(counter.first.answers), len(counter.second.arrived)) == (7, 5)
    assert counter.said == [("first", True)]


def test_a_server_that_is_back_is_preferred_again(counter: Counter) -> None:
    counter.first.answers.extend([AWAY] * 2)
    delivery = counter.a_delivery()
    for _ in range(3):
        delivery.deliver(FRESH, MAIL)
    counter.now = 15.0

    delivery.deliver(FRESH, MAIL)

    assert len(counter.first.arrived) == 1
    assert counter.said == [("first", True), ("first", False)]


def test_where_all_are_left_alone_the_mail_goes_back_untried(counter: Counter) -> None:
    counter.first.answers.extend([AWAY] * 2)
    counter.second.answers.extend([AWAY] * 2)
    delivery = counter.a_delivery()
    for _ in range(2):
        delivery.deliver(FRESH, MAIL)

    assert delivery.deliver(FRESH, MAIL).fate is Fate.POSTPONED


def test_a_rate_makes_mails_wait_before_they_are_handed_over(counter: Counter) -> None:
    counter.now = 100.0
    delivery = counter.a_delivery(rate=2.0)

    for _ in range(5):
        delivery.deliver(FRESH, MAIL)

    assert counter.waited == [0.5, 1.0]


@pytest.mark.parametrize(
    ("start", "fate"), [(Start.SUPPRESSED, Fate.SUPPRESSED), (Start.LOST, Fate.CLAIM_LOST)]
)
def test_no_content_goes_out_where_the_ledger_says_no(
    counter: Counter, start: Start, fate: Fate
) -> None:
    assert counter.a_delivery(lambda _: start).deliver(FRESH, MAIL).fate is fate
    assert counter.first.arrived == []


def test_no_content_goes_out_where_the_ledger_is_away(counter: Counter) -> None:
    def away(_claim: Claim) -> NoReturn:
        raise LedgerUnavailable

    assert counter.a_delivery(away).deliver(FRESH, MAIL).fate is Fate.POSTPONED
    assert counter.first.arrived == []


def test_a_mail_of_which_no_message_can_be_made_fails(counter: Counter) -> None:
    spoilt: OutgoingMail = an_outgoing_mail(subject="two\nlines")

    assert counter.a_delivery().deliver(FRESH, spoilt).fate is Fate.UNREADABLE
