from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mailer.feeding import ANY, Feed, Job
from mailer.memory import MemoryLedger
from mailer.ports import AddressNames, Arrival, Claim, Standing
from mailer.replies import Phase, Reply
from mailer.results import Fate, Result, State
from mailer.suppressing import Reason, Suppression
from schemas.addresses import EmailAddress
from schemas.errors import InvalidEvent, InvalidValue, LedgerUnavailable, RegistryUnavailable
from schemas.mails import OutgoingMail
from schemas.records import Record
from schemas.vocabulary import DeadLetterReason, MailId
from tests.builders import an_outgoing_mail

SENT = Result(Fate.SENT, Reply(250, "2.0.0", "2.0.0 queued", Phase.CONTENT))
SLOW_DOWN = Result(
    Fate.DEFERRED, Reply(451, "4.7.28", "4.7.28 slow", Phase.RCPT), timedelta(hours=1)
)


@dataclass
class Shop:
    """A ledger and a feed; time moves only when told to, and results are written at once."""

    at: datetime = datetime(2026, 11, 24, 8, tzinfo=UTC)
    room: int = ANY
    mails: dict[bytes, OutgoingMail] = field(default_factory=dict)
    noted: list[Fate] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ledger: Any = MemoryLedger(lambda: self.at)
        self.feed = self.a_feed()

    def a_feed(self, **changes: Any) -> Feed:
        parts: dict[str, Any] = {
            "ledger": self.ledger,
            "owner": "deliver-0",
            "read_mail": self.mails.__getitem__,
            "note": self.note,
            "room": lambda: self.room,
            "seconds": lambda: self.at.timestamp(),
            "ahead": 4,
            "trouble_pauses": [timedelta(seconds=7)],
        }
        return Feed(**parts | changes)

    def note(self, claim: Claim, result: Result) -> None:
        self.noted.append(result.fate)
        self.ledger.write([(claim, result)])
        self.feed.written(claim, result)

    def take_in(self, count: int, domain: str = "muster.example") -> Sequence[OutgoingMail]:
        mails = [
            an_outgoing_mail(
                mail_id=MailId(f"{domain}-{number:020x}"),
                recipient=EmailAddress(f"anna@{domain}"),
                expires_at=self.at + timedelta(days=1),
            )
            for number in range(count)
        ]
        for mail in mails:
            value = mail.mail_id.encode()
            self.mails[value] = mail
            record = Record("outgoing-mail", 0, len(self.mails), -1, None, value)
            self.ledger.take_in([Arrival.of(mail, record, AddressNames("hash", "token"))])
        return mails

    def standing(self, mail: OutgoingMail) -> Standing:
        standing: Standing | None = self.ledger.standing(mail.tenant_id, mail.mail_id)
        assert standing is not None
        return standing

    def taken(self) -> list[OutgoingMail]:
        """Take all jobs that are there."""
        return [job.mail for job in self.jobs()]

    def jobs(self) -> list[Job]:
        jobs = list[Job]()
        while (job := self.feed.take(0)) is not None:
            jobs.append(job)
        return jobs


@pytest.fixture
def shop() -> Shop:
    return Shop()


def test_due_mails_are_handed_out_in_their_order(shop: Shop) -> None:
    mails = shop.take_in(3)

    shop.feed.step()

    assert shop.taken() == mails


def test_no_more_is_claimed_ahead_than_is_needed(shop: Shop) -> None:
    shop.take_in(9)

    shop.feed.step()
    shop.feed.step()

    assert shop.ledger.counts()[State.CLAIMED] == 4


def test_a_full_claim_is_followed_by_the_next_at_once_and_an_empty_one_by_a_rest(
    shop: Shop,
) -> None:
    shop.take_in(4)

    assert shop.feed.step() == 0
    shop.taken()
    assert shop.feed.step() == 0.5


def test_a_suppressed_mail_never_reaches_a_sender(shop: Shop) -> None:
    (mail,) = shop.take_in(1)
    shop.ledger.add(
        [Suppression(tenant_id=mail.tenant_id, address_hash="hash", reason=Reason.OPERATOR)]
    )

    shop.feed.step()

    assert shop.taken() == []
    assert shop.standing(mail).state is State.SUPPRESSED


def test_a_mail_that_waited_too_long_expires(shop: Shop) -> None:
    (mail,) = shop.take_in(1)
    shop.at += timedelta(days=5)

    shop.feed.step()

    assert (shop.standing(mail).state, shop.standing(mail).fate) == (State.FAILED, Fate.EXPIRED)


@pytest.mark.parametrize(
    "error",
    [
        InvalidEvent(DeadLetterReason.UNDECODABLE, "cut"),
        InvalidValue("not a mail address"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_row_that_cannot_be_read_fails_and_blocks_nobody(shop: Shop, error: Exception) -> None:
    spoilt, good = shop.take_in(2)

    def read(value: bytes) -> OutgoingMail:
        if value == spoilt.mail_id.encode():
            raise error
        return shop.mails[value]

    shop.feed = shop.a_feed(read_mail=read)
    shop.feed.step()

    assert shop.standing(spoilt).fate is Fate.UNREADABLE
    assert shop.taken() == [good]


def test_while_the_registry_is_away_mails_wait_and_so_does_the_feed(shop: Shop) -> None:
    (mail,) = shop.take_in(1)

    def read(_value: bytes) -> OutgoingMail:
        raise RegistryUnavailable

    shop.feed = shop.a_feed(read_mail=read)

    assert shop.feed.step() == 7
    assert (shop.standing(mail).state, shop.standing(mail).attempts) == (State.WAITING, 0)


def test_while_there_is_no_room_nothing_is_claimed_and_what_was_goes_back(shop: Shop) -> None:
    shop.take_in(2)
    shop.feed.step()
    shop.room = 0

    shop.feed.step()

    assert shop.noted == [Fate.POSTPONED] * 2
    assert shop.ledger.counts()[State.CLAIMED] == 0


def test_a_sender_gives_back_what_was_claimed_before_the_trouble(shop: Shop) -> None:
    shop.take_in(1)
    shop.feed.step()
    shop.room = 0

    assert shop.feed.take(0) is None
    assert shop.noted == [Fate.POSTPONED]


def test_one_that_finds_out_goes_alone(shop: Shop) -> None:
    shop.take_in(5)
    shop.room = 1

    shop.feed.step()
    shop.feed.step()

    assert shop.ledger.counts()[State.CLAIMED] == 1


def test_mails_over_a_domains_rate_come_later_and_hold_up_nobody(shop: Shop) -> None:
    shop.feed = shop.a_feed(ahead=40, domain_rate=2.0)
    shop.take_in(10)
    (other,) = shop.take_in(1, "alpenblick.example")

    shop.feed.step()

    mails = shop.taken()
    assert other in mails
    assert len(mails) == 4  # a second's worth, one more, and the other's
    assert shop.noted == [Fate.RATE_LIMITED] * 7


def test_a_domain_that_asks_to_slow_down_gets_fewer_at_once(shop: Shop) -> None:
    shop.feed = shop.a_feed(ahead=40, domain_most=4, domain_rate=None)
    shop.take_in(4)
    shop.feed.step()
    for job in shop.jobs():
        shop.note(job.claim, SLOW_DOWN)

    shop.take_in(4, "muster.example")
    shop.at += timedelta(hours=2)
    shop.feed.step()

    assert len(shop.taken()) == 1


def test_what_a_dead_process_of_this_slot_had_is_taken_over_first(shop: Shop) -> None:
    (mail,) = shop.take_in(1)
    (left,) = shop.ledger.claim("deliver-0", 1)
    shop.ledger.write([], [left])

    shop.feed.step()

    assert shop.taken() == [mail]
    assert shop.standing(mail).in_doubt_count == 1


class AwayOnce(MemoryLedger):
    """A ledger whose first answer to a claim gets lost, though it was granted."""

    was_away = False

    def claim(self, owner: str, most: int) -> Sequence[Claim]:
        claims = MemoryLedger.claim(self, owner, most)
        if not self.was_away:
            self.was_away = True
            raise LedgerUnavailable
        return claims


def test_a_claim_whose_answer_got_lost_is_found_again_and_those_in_hand_are_left_alone(
    shop: Shop,
) -> None:
    ledger = AwayOnce(lambda: shop.at)
    shop.ledger = ledger
    shop.feed = shop.a_feed()
    ledger.was_away = True
    (in_hand,) = shop.take_in(1)
    shop.feed.step()
    ledger.was_away = False
    (lost,) = shop.take_in(1, "alpenblick.example")

    assert shop.feed.step() == 7
    shop.feed.step()

    assert shop.taken() == [in_hand, lost]
    assert shop.standing(in_hand).claim_number == 1


def test_given_back_mails_keep_their_place(shop: Shop) -> None:
    (mail,) = shop.take_in(1)
    before = shop.standing(mail).next_attempt_at
    shop.feed.step()

    shop.feed.give_back()

    assert shop.standing(mail).next_attempt_at == before
    assert shop.standing(mail).attempts == 0
